//! Parameters of a request: its query and its path.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use jiff::tz::Offset;
use serde::de::DeserializeOwned;

use crate::export::{Filter, Moment, TagFilter};
use crate::search::Condition;
use crate::web::problem::Problem;

/// Number of a capture, from the path.
pub struct Id(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Id(id)),
            Err(_) => Err(Problem::bad_request("the path has a whole number where it names a capture")),
        }
    }
}

/// Names and values of a query; a name may occur several times.
pub struct Pairs(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Pairs {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Pairs(pairs)),
            Err(rejection) => Err(Problem::bad_request(rejection.body_text())),
        }
    }
}

impl Pairs {
    /// Removes and returns the value of a name, the first if there are several.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(place).1)
    }

    pub fn number(&mut self, name: &str, max: u32, usual: u32) -> Result<u32, Problem> {
        let Some(text) = self.take(name) else { return Ok(usual) };
        let number = text.parse().ok().filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| Problem::bad_request(format!("{name}={text}: a number from 1 to {max} is expected")))
    }

    pub fn id(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Problem::bad_request(format!("{name}={text}: a whole number is expected")))
    }

    pub fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(text) => Err(Problem::bad_request(format!("{name}={text}: true or false is expected"))),
        }
    }

    /// Takes the conditions on labels.
    pub fn conditions(&mut self) -> Result<Vec<Condition>, Problem> {
        let mut conditions = Vec::new();
        while let Some(text) = self.take("where") {
            conditions.push(
                text.parse().map_err(|error: crate::search::ConditionError| Problem::bad_request(error.to_string()))?,
            );
        }
        Ok(conditions)
    }

    /// Takes the filter on captures. Days are counted in `zone`.
    pub fn filter(&mut self, zone: Offset) -> Result<Filter, Problem> {
        let mut moment = |name| match self.take(name) {
            Some(text) => text.parse::<Moment>().map(Some).map_err(|error| Problem::bad_request(error.to_string())),
            None => Ok(None),
        };
        Ok(Filter {
            since: moment("since")?.map(|moment| moment.first(zone)),
            until: moment("until")?.map(|moment| moment.end(zone)),
            labels: crate::search::Filter(self.conditions()?),
            place: self.place(),
            urgent: self.flag("urgent")?,
        })
    }

    /// Takes the names of bridge, span and member.
    pub fn place(&mut self) -> TagFilter {
        TagFilter { bridge: self.take("bridge"), span: self.take("span"), member: self.take("member") }
    }

    /// Rejects a query that has names left over.
    pub fn end(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::bad_request(format!("`{name}` means nothing here, or comes twice"))),
        }
    }
}

/// Body of a request as JSON. Errors become problem documents.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Body(body)),
            Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text())),
        }
    }
}
