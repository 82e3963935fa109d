//! TODO rotation
