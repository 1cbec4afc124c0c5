//! The gate through real sockets, in front of small real applications.

mod assertion;
mod exchange;
mod fuzz;
mod rules;
mod streams;
mod support;
mod upstream;
mod vouching;
mod websocket;
mod wire;
