//! The command line `weir`.

fn main() {}
