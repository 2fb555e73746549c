//! The command line from outside: the built binary on files in a folder of its own.
#![cfg(test)]

mod activation;
mod arrows;
mod bench;
mod bench_http;
mod damage;
mod data;
mod database;
mod demo;
mod fixture;
mod handbook;
mod hands;
mod journal;
mod kill;
mod program;
mod reference;
mod replay;
mod rules;
mod send;
mod serve;
mod tables;
