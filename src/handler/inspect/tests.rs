use super::*;

fn refused(text: &str) -> NotAHandler {
    program(text.as_bytes()).unwrap_err()
}

/// A component that exports an empty interface of this name.
fn exporting(name: &str) -> String {
    format!(r#"(component (instance $nothing) (export "{name}" (instance $nothing)))"#)
}

#[test]
fn a_file_is_what_is_inside_it() {
    let bad_text = refused("(component\n  (oops))");
    assert!(matches!(&bad_text, NotAHandler::BadText(why) if why.contains("2:4")), "{bad_text}");
    let cases: [(&[u8], NotAHandler); 9] = [
        (b"", NotAHandler::Empty),
        (b"\x7fELF\x02\x01\x01", NotAHandler::Native),
        (b"MZ\x90\0", NotAHandler::Native),
        (b"\0asm\x01\0\0\0", NotAHandler::NoStart),
        (b"(module)", NotAHandler::NoStart),
        (b"\0asm\x0d", NotAHandler::UnknownVersion),
        (b"\0asm\x02\0\0\0", NotAHandler::UnknownVersion),
        (b"#!/bin/sh\n", NotAHandler::SomethingElse),
        (b"\xff\xfe\0", NotAHandler::SomethingElse),
    ];
    for (file, expected) in cases {
        assert_eq!(program(file), Err(expected));
    }
}

#[test]
fn a_component_is_known_by_what_it_exports() {
    for (name, expected) in [
        ("hookyard:handler/handler@0.1.0", Ok(Kind::Typed)),
        ("wasi:cli/run@0.2.0", Ok(Kind::CommandComponent)),
        ("wasi:cli/run@0.2.12", Ok(Kind::CommandComponent)),
        ("wasi:http/incoming-handler@0.2.0", Ok(Kind::Http)),
        ("wasi:http/incoming-handler@0.2.12", Ok(Kind::Http)),
        ("wasi:http/handler@0.3.0", Err(NotAHandler::Wasi03("wasi:http/handler@0.3.0".to_owned()))),
        ("wasi:cli/run@0.3.0", Err(NotAHandler::Wasi03("wasi:cli/run@0.3.0".to_owned()))),
        (
            "hookyard:handler/handler@0.2.0",
            Err(NotAHandler::NoExport("hookyard:handler/handler@0.2.0".to_owned())),
        ),
        ("acme:shop/till@1.0.0", Err(NotAHandler::NoExport("acme:shop/till@1.0.0".to_owned()))),
    ] {
        assert_eq!(program(exporting(name).as_bytes()).map(|(kind, _)| kind), expected, "{name}");
    }
    assert_eq!(refused("(component)"), NotAHandler::NoExport("nothing".to_owned()));
}

#[test]
fn a_component_that_imports_the_next_wasi_is_told_so() {
    let import = r#"(import "wasi:cli/stdin@0.3.0-rc-2025-09-16" (instance))"#;
    let text = format!(
        r#"(component {import} (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#
    );
    let expected = NotAHandler::Wasi03("wasi:cli/stdin@0.3.0-rc-2025-09-16".to_owned());
    assert_eq!(refused(&text), expected);
}

#[test]
fn what_a_component_holds_is_not_what_it_exports() {
    let inner = exporting("wasi:cli/run@0.2.0");
    let module = r#"(core module (func (export "_start")))"#;
    let text = format!("(component {inner} {module})");
    assert_eq!(refused(&text), NotAHandler::NoExport("nothing".to_owned()));
    let text = format!(
        r#"(component {inner} {module} (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#
    );
    assert_eq!(program(text.as_bytes()).unwrap().0, Kind::CommandComponent);
}

#[test]
fn a_core_module_is_a_command_or_nothing() {
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#;
    let start = r#"(func (export "_start"))"#;
    let (kind, _) = program(format!("(module {exit} {start})").as_bytes())
        .map(|(kind, binary)| (kind, binary.len()))
        .unwrap();
    assert_eq!(kind, Kind::CommandModule);
    for library in
        ["(func (export \"_initialize\"))", "(global (export \"_start\") i32 (i32.const 0))"]
    {
        assert_eq!(refused(&format!("(module {library})")), NotAHandler::NoStart);
    }
    let foreign = r#"(import "env" "a" (func)) (import "wasi_unstable" "b" (func))"#;
    let expected = NotAHandler::Imports("env.a, wasi_unstable.b".to_owned());
    assert_eq!(refused(&format!("(module {exit} {foreign} {start})")), expected);
}

#[test]
fn names_from_a_file_cannot_flood_or_forge_a_message() {
    let imports: String = (0..20).map(|n| format!(r#"(import "\1b[2J" "{n}" (func))"#)).collect();
    let error = refused(&format!("(module {imports})"));
    let NotAHandler::Imports(names) = error else { panic!("{error}") };
    assert!(names.starts_with(r"\u{1b}[2J.0, ") && names.ends_with(".7 and 12 more"), "{names}");
}

#[test]
fn a_cut_file_is_told() {
    let whole = wat::parse_str(exporting("wasi:cli/run@0.2.0")).unwrap();
    for cut in [9, whole.len() / 2, whole.len() - 1] {
        let error = program(&whole[..cut]).unwrap_err();
        assert!(matches!(error, NotAHandler::Broken(_)), "{cut}: {error}");
    }
}

#[test]
fn both_forms_are_accepted() {
    let text = format!("  ;; nothing in it\n{}", exporting("wasi:cli/run@0.2.0"));
    let (kind, binary) = program(text.as_bytes()).unwrap();
    assert_eq!(program(&binary).unwrap(), (kind, Cow::Borrowed(&*binary)));
}

#[test]
fn precompiled_code_is_told_from_other_native_code() {
    let engine = Engine::default();
    let code = engine.precompile_component(&wat::parse_str("(component)").unwrap());
    assert_eq!(program(&code.unwrap()), Err(NotAHandler::Precompiled));
}
