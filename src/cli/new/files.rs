//! What a new project consists of, language by language.

use super::Language;

/// A file: its path in the project, and its text, in which `{name}` stands for the handler's.
pub type Template = (&'static str, &'static str);

/// What the README says of a language.
pub struct About {
    /// Its name.
    pub name: &'static str,
    /// Where the handler is.
    pub main: &'static str,
    /// What must be installed.
    pub needs: &'static str,
    /// The command line that builds.
    pub build: &'static str,
}

/// The README, `router.toml`, the event, and the selftests.
pub const README: &str = include_str!("readme.md");
pub const ROUTER: &str = include_str!("router.toml");
pub const EVENT: &str = include_str!("event.json");
pub const SELFTESTS: [Template; 2] = [
    ("order.json", include_str!("selftest.json")),
    ("no-order.json", include_str!("selftest-no-order.json")),
];

/// The world that a component is built for.
pub const WIT: [Template; 7] = [
    ("wit/hookyard.wit", include_str!("../../../wit/hookyard.wit")),
    ("wit/deps/clocks.wit", include_str!("../../../wit/deps/clocks.wit")),
    ("wit/deps/config.wit", include_str!("../../../wit/deps/config.wit")),
    ("wit/deps/http.wit", include_str!("../../../wit/deps/http.wit")),
    ("wit/deps/io.wit", include_str!("../../../wit/deps/io.wit")),
    ("wit/deps/keyvalue.wit", include_str!("../../../wit/deps/keyvalue.wit")),
    ("wit/deps/logging.wit", include_str!("../../../wit/deps/logging.wit")),
];

/// The crate for handlers in Rust.
pub const SDK: [Template; 6] = [
    ("sdk/Cargo.toml", include_str!("../../../sdk/Cargo.toml")),
    ("sdk/src/bindings.rs", include_str!("../../../sdk/src/bindings.rs")),
    ("sdk/src/event.rs", include_str!("../../../sdk/src/event.rs")),
    ("sdk/src/lib.rs", include_str!("../../../sdk/src/lib.rs")),
    ("sdk/src/log.rs", include_str!("../../../sdk/src/log.rs")),
    ("sdk/src/outcome.rs", include_str!("../../../sdk/src/outcome.rs")),
];

const RUST: [Template; 3] = [
    ("Cargo.toml", include_str!("rust/manifest.toml")),
    ("src/lib.rs", include_str!("rust/lib.rs")),
    (".gitignore", include_str!("rust/gitignore")),
];

const JS: [Template; 4] = [
    ("package.json", include_str!("js/package.json")),
    ("build.js", include_str!("js/build.js")),
    ("handler.js", include_str!("js/handler.js")),
    (".gitignore", include_str!("js/gitignore")),
];

const PYTHON: [Template; 3] = [
    ("requirements.txt", include_str!("python/requirements.txt")),
    ("app.py", include_str!("python/app.py")),
    (".gitignore", include_str!("python/gitignore")),
];

const GO: [Template; 2] =
    [("go.mod", include_str!("go/go.mod")), ("main.go", include_str!("go/main.go"))];

impl Language {
    /// What the README says of it.
    pub fn about(self) -> About {
        match self {
            Self::Rust => About {
                name: "Rust",
                main: "src/lib.rs",
                needs: "a Rust toolchain that has its target (`rustup target add wasm32-wasip2`)",
                build: "cargo build --release --target wasm32-wasip2 && cp target/wasm32-wasip2/release/handler.wasm ../{name}.wasm",
            },
            Self::Js => About {
                name: "JavaScript",
                main: "handler.js",
                needs: "Node.js 20 or later",
                build: "npm install && npm run build",
            },
            Self::Python => About {
                name: "Python",
                main: "app.py",
                needs: "Python 3.10 or later",
                build: "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/componentize-py -d wit -w webhook-handler componentize app -o ../{name}.wasm",
            },
            Self::Go => About {
                name: "Go",
                main: "main.go",
                needs: "Go 1.21 or later",
                build: "GOOS=wasip1 GOARCH=wasm go build -ldflags='-s -w' -o ../{name}.wasm .",
            },
        }
    }

    /// Its project's files, without the README and the event.
    pub fn files(self) -> Vec<Template> {
        match self {
            Self::Rust => [&RUST[..], &SDK, &WIT].concat(),
            Self::Js => [&JS[..], &WIT].concat(),
            Self::Python => [&PYTHON[..], &WIT].concat(),
            Self::Go => GO.to_vec(),
        }
    }
}
