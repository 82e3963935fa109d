//! TODO github
