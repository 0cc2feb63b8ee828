//! The post room.
