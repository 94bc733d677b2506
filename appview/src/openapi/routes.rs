//! Routes that cannot be served without their description: a router that is built of both.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::Document;
use super::operation::{Family, Operation};
use crate::App;

/// What a path answers, by method.
pub(crate) struct Ways {
    router: MethodRouter<App>,
    operations: Vec<(&'static str, Operation)>,
}

macro_rules! begin {
    ($($method:ident, $name:literal, $filter:ident;)*) => {$(
        #[doc = concat!("A path that answers ", stringify!($filter), ", and what is said of that.")]
        pub(crate) fn $method<H, T>(handler: H, told: fn() -> Operation) -> Ways
        where
            H: Handler<T, App>,
            T: 'static,
        {
            Ways { router: on(MethodFilter::$filter, handler), operations: vec![($name, told())] }
        }
    )*};
}

begin! {
    get, "get", GET;
    post, "post", POST;
    patch, "patch", PATCH;
    delete, "delete", DELETE;
}

impl Ways {
    /// These methods and those.
    pub(crate) fn and(self, other: Ways) -> Ways {
        let operations = self.operations.into_iter().chain(other.operations).collect();
        Ways { router: self.router.merge(other.router), operations }
    }

    /// With a layer of their own.
    pub(crate) fn layered(self, layer: impl FnOnce(MethodRouter<App>) -> MethodRouter<App>) -> Ways {
        Ways { router: layer(self.router), operations: self.operations }
    }
}

/// A part of the router under construction.
pub(crate) struct Routes<'a> {
    router: Router<App>,
    family: Family,
    document: &'a mut Document,
}

impl<'a> Routes<'a> {
    /// Nothing yet. What is routed is written into `document`.
    pub(crate) fn new(family: Family, document: &'a mut Document) -> Self {
        Routes { router: Router::new(), family, document }
    }

    /// A path.
    pub(crate) fn route(self, path: &'static str, ways: Ways) -> Self {
        self.document.add(path, false, self.family, ways.operations);
        Routes { router: self.router.route(path, ways.router), ..self }
    }

    /// A path, and the same with a slash at its end: clients know one or the other.
    pub(crate) fn both(self, path: &'static str, ways: Ways) -> Self {
        self.document.add(path, true, self.family, ways.operations);
        let router = self.router.route(path, ways.router.clone()).route(&format!("{path}/"), ways.router);
        Routes { router, ..self }
    }

    /// The routes, to be layered.
    pub(crate) fn done(self) -> Router<App> {
        self.router
    }
}
