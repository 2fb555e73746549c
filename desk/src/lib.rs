//! What the fraud desk keeps, in SQL.
