//! Components compiled for the processors of Lambda, wherever the compiler runs; and why code that comes from elsewhere may be
//! run here: it carries a keyed MAC, which is checked before wasmtime sees a byte of it.

use crate::component::{HostError, LoadError, Problem, check_file, hex, invalid};
use crate::{PluginLimits, WASMTIME_VERSION, engine};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// Counts changes of the engine's settings, so that no function looks for code it could not load. A test compares it with
/// the settings.
pub const SETTINGS: u32 = 1;

/// The processors of Lambda.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    X86_64,
    Arm64,
}

impl Target {
    pub const ALL: [Target; 2] = [Target::X86_64, Target::Arm64];

    /// Of this machine, if it is one of them.
    pub fn native() -> Option<Self> {
        match (std::env::consts::ARCH, std::env::consts::OS) {
            ("x86_64", "linux") => Some(Target::X86_64),
            ("aarch64", "linux") => Some(Target::Arm64),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Target::X86_64 => "x86_64",
            Target::Arm64 => "arm64",
        }
    }

    /// Name of what is compiled for it. What differs in name cannot be loaded.
    pub fn form(self) -> String {
        format!("{}-wasmtime-{WASMTIME_VERSION}-{SETTINGS}", self.name())
    }

    fn triple(self) -> &'static str {
        match self {
            Target::X86_64 => "x86_64-unknown-linux-gnu",
            Target::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// What every processor of the fleet has, in cranelift's words. Intel's since Haswell and AMD's since Zen have the third
    /// level of x86-64, and AWS's "Using AVX2 vectorization in Lambda" counts on its vectors; Graviton2, the first that
    /// Lambda had, is a Neoverse N1. Where one lacks something all the same, wasmtime refuses the code when it is loaded.
    fn features(self) -> &'static [&'static str] {
        match self {
            Target::X86_64 => &["x86-64-v3"],
            Target::Arm64 => &["has_lse", "has_fp16", "has_dotprod"],
        }
    }

    fn settings(self) -> wasmtime::Result<Config> {
        let mut config = engine::code_settings();
        config.target(self.triple())?;
        for feature in self.features() {
            // SAFETY: these are features of processors, and wasmtime looks whether a processor has them before it loads
            // what was compiled with them.
            unsafe { config.cranelift_flag_enable(feature) };
        }
        Ok(config)
    }
}

/// Compiles for one kind of processor, on any.
pub struct Compiler {
    target: Target,
    engine: Engine,
    limits: PluginLimits,
}

impl Compiler {
    pub fn new(target: Target, limits: &PluginLimits) -> Result<Self, HostError> {
        let engine = target.settings().and_then(|settings| Engine::new(&settings));
        let engine = engine.map_err(|error| HostError::new(&error))?;
        Ok(Compiler { target, engine, limits: limits.clone() })
    }

    pub fn target(&self) -> Target {
        self.target
    }

    /// Says only whether it compiles; what [`crate::Host::load_compiled`] says counts.
    pub fn compile(&self, wasm: &[u8]) -> Result<Compiled, Problem> {
        check_file(wasm, &self.limits)?;
        let code = self.engine.precompile_component(wasm).map_err(|error| invalid(&error))?;
        Ok(Compiled { target: self.target, digest: hex(&Sha256::digest(wasm)), bytes: code, code_at: 0 })
    }
}

/// Code that may be run: a [`Compiler`] of this process made it, or one that has the key.
pub struct Compiled {
    target: Target,
    digest: String,
    bytes: Vec<u8>,
    /// Where the code begins.
    code_at: usize,
}

impl Compiled {
    pub fn target(&self) -> Target {
        self.target
    }

    /// SHA-256 of the component it was compiled from, hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub fn code(&self) -> &[u8] {
        &self.bytes[self.code_at..]
    }

    /// To be kept elsewhere.
    pub fn seal(&self, key: &CodeKey) -> Vec<u8> {
        key.seal(&label(self.target, &self.digest), self.code())
    }

    /// Takes `sealed` for the code of the component with this digest, if whoever has the key says so.
    pub fn unseal(target: Target, digest: &str, sealed: Vec<u8>, key: &CodeKey) -> Result<Self, SealError> {
        key.open(&label(target, digest), &sealed)?;
        Ok(Compiled { target, digest: digest.to_owned(), bytes: sealed, code_at: SEAL_BYTES })
    }

    pub(crate) fn map(&self, engine: &Engine) -> Result<Component, String> {
        // SAFETY: a compiler made these bytes and nobody has changed them since. The fields are private: either
        // `Compiler::compile` filled them in, or `unseal`, after the MAC was checked. That they fit this engine and this
        // processor is checked by wasmtime.
        unsafe { Component::deserialize(engine, self.code()) }.map_err(|error| format!("{error:#}"))
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Compiled({}, {}, {} bytes)", self.target.form(), self.digest, self.code().len())
    }
}

fn label(target: Target, digest: &str) -> String {
    format!("code {} {digest}", target.form())
}

/// Why code is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum CompiledError {
    /// It is for another processor, or of other settings; to compile the component here helps.
    #[error("the code is not for this machine: {0}")]
    Unfit(String),
    #[error(transparent)]
    Refused(LoadError),
}

/// What compiled code is sealed with. Whoever has it can run anything in the functions.
#[derive(Clone)]
pub struct CodeKey([u8; 32]);

/// Bytes of a key as text.
const KEY_DIGITS: usize = 64;
const MAGIC: &[u8; 8] = b"SASEALv1";
/// Magic and MAC, before what is sealed.
const SEAL_BYTES: usize = 8 + 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code key is {KEY_DIGITS} hex digits, as `openssl rand -hex 32` prints them")]
pub struct KeyError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("it is not sealed, or cut off: {0} bytes")]
    NoSeal(usize),
    #[error(
        "its seal does not fit (`{0}`): it was changed, belongs elsewhere, or the compiler has another STREAMALERT_CODE_KEY"
    )]
    Broken(String),
}

impl CodeKey {
    pub fn read(text: &str) -> Result<Self, KeyError> {
        let text = text.trim().as_bytes();
        let mut key = [0; 32];
        if text.len() != KEY_DIGITS {
            return Err(KeyError);
        }
        for (byte, digits) in key.iter_mut().zip(text.as_chunks::<2>().0) {
            let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(KeyError);
            *byte = (digit(digits[0])? << 4 | digit(digits[1])?) as u8;
        }
        Ok(CodeKey(key))
    }

    /// `what` says what the bytes are, so that nothing sealed can stand in for something else.
    pub fn seal(&self, what: &str, bytes: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(SEAL_BYTES + bytes.len());
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&self.mac(what, bytes).finalize().into_bytes());
        sealed.extend_from_slice(bytes);
        sealed
    }

    pub fn open<'a>(&self, what: &str, sealed: &'a [u8]) -> Result<&'a [u8], SealError> {
        let head = sealed.split_at_checked(SEAL_BYTES).filter(|(head, _)| head.starts_with(MAGIC));
        let (head, bytes) = head.ok_or(SealError::NoSeal(sealed.len()))?;
        let broken = |_| SealError::Broken(what.to_owned());
        self.mac(what, bytes).verify_slice(&head[MAGIC.len()..]).map_err(broken)?;
        Ok(bytes)
    }

    fn mac(&self, what: &str, bytes: &[u8]) -> Hmac<Sha256> {
        // A key shorter than a block counts as filled up with zeros.
        let mut block = [0; 64];
        block[..self.0.len()].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(MAGIC);
        mac.update(&(what.len() as u64).to_le_bytes());
        mac.update(what.as_bytes());
        mac.update(bytes);
        mac
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("CodeKey(…)")
    }
}
