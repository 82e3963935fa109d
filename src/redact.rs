//! The only gate through which strings from outside reach an output.
