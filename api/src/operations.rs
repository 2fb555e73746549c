//! What the OpenAPI document says of an operation, looked up by a request that is on its way to it.

use std::collections::HashMap;

use axum::http::Method;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;

/// Something said of each operation, by path and method.
#[derive(Clone, Debug)]
pub(crate) struct Operations<T>(HashMap<String, Vec<(&'static str, T)>>);

impl<T> Operations<T> {
    /// What is said of the operations of a document.
    pub(crate) fn of(document: &OpenApi, say: impl Fn(&Operation) -> T) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            let all = [
                ("GET", &item.get),
                ("PUT", &item.put),
                ("POST", &item.post),
                ("DELETE", &item.delete),
                ("PATCH", &item.patch),
            ];
            let operations = all.into_iter().filter_map(|(method, it)| Some((method, say(it.as_ref()?))));
            (path.clone(), operations.collect())
        });
        Self(paths.collect())
    }

    /// Says the same of a page, which is only looked at and not in the document.
    pub(crate) fn page(&mut self, path: &str, it: T) {
        self.0.insert(path.to_owned(), vec![("GET", it)]);
    }

    /// What is said of the operation of a route and a method; none if it is none that is known.
    pub(crate) fn find(&self, route: &str, method: &Method) -> Option<&T> {
        // What a HEAD may see is what a GET may see.
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        self.0.get(route)?.iter().find(|(of, _)| *of == method).map(|(_, it)| it)
    }
}
