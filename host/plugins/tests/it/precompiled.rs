//! Code that was compiled elsewhere: it runs everywhere it is meant for, and nowhere else, and not at all once it was touched.

use crate::guest::{EVERY_ROW, Guest};
use crate::{batch, host, limits, load};
use sha2::{Digest, Sha256};
use streamalert_pipeline::plugin::RulePlugin;
use streamalert_plugins::precompiled::SETTINGS;
use streamalert_plugins::{CodeKey, Compiled, CompiledError, Compiler, LoadCheck, Plugin, SealError, Target};

fn key(digit: char) -> CodeKey {
    CodeKey::read(&digit.to_string().repeat(64)).unwrap()
}

fn native() -> Compiler {
    Compiler::new(Target::native().unwrap(), &limits()).unwrap()
}

#[test]
fn code_for_the_fleet_judges_like_code_for_this_machine() {
    let wasm = Guest::default().build();
    let compiled = native().compile(&wasm).unwrap();
    let sealed = compiled.seal(&key('a'));
    let compiled = Compiled::unseal(compiled.target(), compiled.digest(), sealed, &key('a')).unwrap();
    // A host has a pool of instances, the compiler has none.
    let Plugin::Rules(there) = host().load_compiled("guest.wasm", &compiled, &LoadCheck::any_log()).unwrap() else {
        panic!("a component of rules is of another world")
    };
    let here = load(&host(), &wasm).unwrap();
    assert_eq!(there.digest(), here.digest());
    let batch = batch(8);
    let (a, b) = (there.open(&batch).evaluate(0, &[0, 3, 5]), here.open(&batch).evaluate(0, &[0, 3, 5]));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.findings.len(), a.fuel), (3, b.fuel));
    assert_eq!(a.findings, b.findings);
}

#[test]
fn what_is_changed_is_not_run() {
    let compiled = native().compile(&Guest::default().build()).unwrap();
    let (target, digest) = (compiled.target(), compiled.digest());
    let sealed = compiled.seal(&key('a'));
    let refused = |sealed: Vec<u8>| match Compiled::unseal(target, digest, sealed, &key('a')) {
        Err(error) => error,
        Ok(_) => panic!("it was unsealed"),
    };
    // The head byte by byte, the code in steps: a MAC takes its time.
    for at in (0..100).chain((100..sealed.len()).step_by(sealed.len() / 50)).chain([sealed.len() - 1]) {
        let mut other = sealed.clone();
        other[at] ^= 1;
        let told = refused(other).to_string();
        assert!(told.contains("seal"), "byte {at}: {told}");
    }
    assert_eq!(refused(Vec::new()), SealError::NoSeal(0));
    assert_eq!(refused(compiled.code().to_vec()), SealError::NoSeal(compiled.code().len()));
    for length in [39, 40, 41, sealed.len() - 1] {
        refused(sealed[..length].to_vec());
    }
    refused([&sealed[..], b"\0"].concat());

    let unseal = |target, digest: &str, key: CodeKey| Compiled::unseal(target, digest, sealed.clone(), &key);
    assert!(unseal(target, digest, key('a')).is_ok());
    for error in [
        unseal(target, digest, key('b')).unwrap_err(),
        unseal(target, &"0".repeat(64), key('a')).unwrap_err(),
        unseal(if target == Target::Arm64 { Target::X86_64 } else { Target::Arm64 }, digest, key('a')).unwrap_err(),
    ] {
        assert!(matches!(error, SealError::Broken(_)), "{error}");
        assert!(error.to_string().contains("STREAMALERT_CODE_KEY"), "{error}");
    }
}

#[test]
fn each_processor_gets_its_own_code_and_refuses_the_others() {
    // Of an ELF file, the machine: 62 is x86-64, 183 is AArch64.
    let machine = |code: &[u8]| u16::from_le_bytes([code[18], code[19]]);
    let wasm = Guest::default().build();
    for (target, expected) in [(Target::X86_64, 62), (Target::Arm64, 183)] {
        let compiled = Compiler::new(target, &limits()).unwrap().compile(&wasm).unwrap();
        assert_eq!(&compiled.code()[..4], b"\x7fELF");
        assert_eq!(machine(compiled.code()), expected);
        let loaded = host().load_compiled("guest.wasm", &compiled, &LoadCheck::any_log());
        match Target::native() == Some(target) {
            true => drop(loaded.unwrap()),
            false => {
                let error = loaded.unwrap_err();
                assert!(matches!(&error, CompiledError::Unfit(why) if why.contains("architecture")), "{error}");
            }
        }
    }
}

#[test]
fn what_is_no_rule_is_refused_though_it_compiles() {
    let compiled = native().compile(&wat::parse_str("(component)").unwrap()).unwrap();
    let error = host().load_compiled("guest.wasm", &compiled, &LoadCheck::any_log()).unwrap_err();
    assert!(
        matches!(&error, CompiledError::Refused(error) if error.to_string().contains("exports nothing")),
        "{error}"
    );
    let trap = Guest { on_describe: "(unreachable)", ..Guest::default() }.build();
    let compiled = native().compile(&trap).unwrap();
    let error = host().load_compiled("guest.wasm", &compiled, &LoadCheck::any_log()).unwrap_err().to_string();
    assert!(error.contains("does not start"), "{error}");

    let told = |wasm: &[u8]| native().compile(wasm).unwrap_err().to_string();
    assert!(told(b"#!/bin/sh").contains("is not WebAssembly"));
    assert!(told(&wat::parse_str("(module)").unwrap()).contains("core WebAssembly module"));
    assert!(told(&Guest::default().build()[..500]).contains("no valid component"));
}

#[test]
fn a_live_component_is_checked_again_when_log_types_change() {
    let types = ["any".to_owned()];
    let check = |known: bool| move |log: &str| known && log == "any";
    let guest = Guest { rules: vec![("good", EVERY_ROW)], ..Guest::default() }.build();
    let host = host();
    let (yes, no) = (check(true), check(false));
    let with = LoadCheck { knows_log: &yes, log_types: &types, ..LoadCheck::any_log() };
    let without = LoadCheck { knows_log: &no, log_types: &[], ..LoadCheck::any_log() };
    let plugin = host.load_plugin("guest.wasm", &guest, &with).unwrap();
    plugin.check(&with).unwrap();
    let error = plugin.check(&without).unwrap_err().to_string();
    assert!(error.contains("guest.wasm: rule good, logs[0]: `any` is no log type"), "{error}");
    plugin.check(&with).unwrap();
}

#[test]
fn keys_are_sixty_four_hex_digits() {
    let seal = |text: &str| CodeKey::read(text).unwrap().seal("x", b"y");
    assert_eq!(seal(&"aB".repeat(32)), seal(&format!("{}\n", "Ab".repeat(32))));
    assert_ne!(seal(&"ab".repeat(32)), seal(&"ac".repeat(32)));
    for bad in ["", "abc", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
        let error = CodeKey::read(bad).unwrap_err().to_string();
        assert!(error.contains("openssl rand -hex 32"), "{error}");
    }
    assert_eq!(format!("{:?}", key('a')), "CodeKey(…)");
}

/// Code names the settings it was compiled with. If this fails, they have changed: count `SETTINGS` up, and write down here
/// what the test prints, or functions of this version look for code that they cannot load.
#[test]
fn settings_that_change_the_code_change_its_name() {
    let empty = wat::parse_str("(component)").unwrap();
    let settings = |target| {
        let compiled = Compiler::new(target, &limits()).unwrap().compile(&empty).unwrap();
        let code = compiled.code().to_vec();
        // Version, then flags of the compiler and the processor, tunables, features: the section that the loader compares.
        let section = elf_section(&code, b".wasmtime.engine");
        Sha256::digest(section)[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(
        (SETTINGS, settings(Target::X86_64).as_str(), settings(Target::Arm64).as_str()),
        (1, "8565ca55", "0e04861c")
    );
}

/// Of a 64-bit little-endian file.
fn elf_section<'a>(file: &'a [u8], name: &[u8]) -> &'a [u8] {
    let number = |at: usize, bytes: usize| {
        file[at..at + bytes].iter().rev().fold(0usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (table, size, count, names) = (number(0x28, 8), number(0x3a, 2), number(0x3c, 2), number(0x3e, 2));
    let place = |section: usize| (number(table + section * size + 24, 8), number(table + section * size + 32, 8));
    let names = place(names).0;
    let found = (0..count).find(|section| {
        let at = names + number(table + section * size, 4);
        file[at..].starts_with(name) && file[at + name.len()] == 0
    });
    let (at, length) = place(found.expect("the section is there"));
    &file[at..at + length]
}
