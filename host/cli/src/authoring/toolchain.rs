//! Finds what builds rules for WebAssembly: a rustc with the target, or one with a standard library in a folder of its own,
//! and the linker that comes with it and makes components.

use super::checkout;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TARGET: &str = "wasm32-unknown-unknown";

pub struct Toolchain {
    /// Made by `rule-sdk/rust/toolchain.sh`; `None`: rustc has the target itself.
    sysroot: Option<PathBuf>,
    linker: PathBuf,
}

impl Toolchain {
    /// For a crate in `folder`: a `rust-toolchain.toml` there may choose another rustc.
    pub fn find(folder: &Path) -> Result<Toolchain> {
        let about = rustc(folder, &["-vV"])?;
        let field = |name: &str| about.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let (version, host) = (field("release: "), field("host: "));
        let rustc_sysroot = PathBuf::from(rustc(folder, &["--print", "sysroot"])?);
        let own = PathBuf::from(rustc(folder, &["--print", "target-libdir", "--target", TARGET])?);
        let sysroot = match has_std(&own) {
            true => None,
            false => Some(private_sysroot(folder, version, about.lines().next().unwrap_or_default())?),
        };
        let linker_name = format!("wasm-component-ld{}", std::env::consts::EXE_SUFFIX);
        let linker = rustc_sysroot.join("lib/rustlib").join(host).join("bin").join(&linker_name);
        let linker = if linker.is_file() {
            linker
        } else {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let found =
                std::env::split_paths(&path).map(|folder| folder.join(&linker_name)).find(|file| file.is_file());
            found.with_context(|| {
                format!(
                    "{} is missing, which comes with Rust from rustup and makes components: install Rust from \
                     https://rustup.rs, or run: cargo install wasm-component-ld",
                    linker.display()
                )
            })?
        };
        Ok(Toolchain { sysroot, linker })
    }

    /// Makes `cargo` build components. `known` are folders whose names must not get into them, with what stands for each.
    pub fn prepare(&self, cargo: &mut Command, known: &[(PathBuf, &str)]) -> Result<()> {
        let mut flags: Vec<String> = Vec::new();
        if let Some(sysroot) = &self.sysroot {
            flags.extend(["--sysroot".to_owned(), sysroot.display().to_string()]);
        }
        // rustc takes the last that fits.
        for (folder, name) in known {
            flags.push(format!("--remap-path-prefix={}={name}", folder.display()));
        }
        // Cargo looks at one of these only, in this order; what is there stays.
        let encoded = std::env::var("CARGO_ENCODED_RUSTFLAGS").ok();
        let plain = std::env::var("RUSTFLAGS").ok();
        let by_target = std::env::var("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS").ok();
        let spaces = flags.iter().any(|flag| flag.contains(char::is_whitespace));
        match (encoded, plain) {
            (Some(before), _) if !before.is_empty() => {
                flags.insert(0, before);
                cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
            }
            (_, Some(before)) if !before.trim().is_empty() => {
                flags.splice(0..0, before.split_whitespace().map(str::to_owned));
                cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
            }
            // The one for the target is joined with those of .cargo/config.toml, but it is split at spaces.
            _ if !spaces => {
                flags.splice(0..0, by_target);
                cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags.join(" "));
            }
            _ => {
                flags.splice(0..0, by_target.iter().flat_map(|before| before.split_whitespace().map(str::to_owned)));
                cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
            }
        }
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker);
        // There it finds the linker proper.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folder = self.linker.parent().map(Path::to_path_buf);
        let path: OsString =
            std::env::join_paths(folder.into_iter().chain(std::env::split_paths(&path))).context("set PATH")?;
        cargo.env("PATH", path);
        Ok(())
    }
}

/// Where toolchain.sh puts the standard library; both must say the same.
fn private_sysroot(folder: &Path, version: &str, rustc: &str) -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let place = set("STREAMALERT_WASM_SYSROOT")
        .or_else(|| Some(cache?.join("streamalert").join(format!("wasm-sysroot-{version}"))));
    let made_for = |sysroot: &Path| std::fs::read_to_string(sysroot.join("rustc-version")).unwrap_or_default();
    if let Some(sysroot) = &place
        && has_std(&sysroot.join("lib/rustlib").join(TARGET).join("lib"))
    {
        let made_for = made_for(sysroot);
        if made_for.is_empty() || made_for.trim() == rustc {
            return Ok(sysroot.clone());
        }
    }
    let script = checkout::sdk(folder).map_or("rule-sdk/rust/toolchain.sh".into(), |sdk| sdk.join("toolchain.sh"));
    bail!(
        "rustc {version} cannot build for WebAssembly yet\n  run: rustup target add {TARGET}\n  \
         or, where that cannot be fetched: {}",
        script.display()
    )
}

fn has_std(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

fn rustc(folder: &Path, arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("RUSTC").filter(|value| !value.is_empty()).unwrap_or_else(|| "rustc".into());
    let output = Command::new(&program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .with_context(|| format!("run {}; is Rust installed? see https://rustup.rs", program.display()))?;
    if !output.status.success() {
        bail!("rustc {} failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
