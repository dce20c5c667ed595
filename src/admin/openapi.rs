//! The OpenAPI document of the admin side. It is written by hand; a test asks every path, and holds
//! every field of the answers against it.

use serde_json::{Map, Value, json};

/// Where it is.
pub const OPENAPI: &str = "/api/v1/openapi.json";

const ABOUT: &str = "The admin side. Without `admin_token` it answers on loopback alone; with it, \
    those who bear the token.";

/// What is asked about events, and everything else.
const PATHS: [&str; 2] =
    [include_str!("openapi/events.json"), include_str!("openapi/operation.json")];

/// What is said about both, in the same order.
const SCHEMAS: [&str; 2] =
    [include_str!("openapi/event_schemas.json"), include_str!("openapi/operation_schemas.json")];

/// The document.
pub fn document() -> Value {
    let part = |text| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let paths: Map<_, _> = PATHS.into_iter().flat_map(part).collect();
    let schemas: Map<_, _> = SCHEMAS.into_iter().flat_map(part).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hookyard",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Token": refusal("The bearer token is missing or wrong."),
                "Denied": refusal("The Host or the Origin is not allowed."),
                "NotJson": refusal("The content type is not application/json."),
            },
            "schemas": schemas,
        },
    })
}

fn refusal(description: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Error" });
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}
