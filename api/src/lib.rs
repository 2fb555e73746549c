//! HTTP: the server, keys, errors, paging, live streams.
