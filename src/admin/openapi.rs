//! The OpenAPI document of the admin side. It is written by hand; a test asks every path, and holds
//! every field of the answers against it.

use serde_json::{Value, json};

/// Where it is.
pub const OPENAPI: &str = "/api/v1/openapi.json";

const ABOUT: &str = "The admin side. Without `admin_token` it answers on loopback alone; with it, \
    those who bear the token.";

/// The document.
pub fn document() -> Value {
    let part = |text| serde_json::from_str::<Value>(text).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hookyard",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "security": [{}, { "token": [] }],
        "paths": part(include_str!("openapi/paths.json")),
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Token": refusal("The bearer token is missing or wrong."),
                "Denied": refusal("The Host or the Origin is not allowed."),
                "NotJson": refusal("The content type is not application/json."),
            },
            "schemas": part(include_str!("openapi/schemas.json")),
        },
    })
}

fn refusal(description: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Error" });
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}
