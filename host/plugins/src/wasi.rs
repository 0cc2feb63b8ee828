//! The part of WASI 0.2 that guests get when their language's runtime needs it: clocks, random numbers, and standard output
//! into the log. Nothing sleeps. Files, sockets and the environment do not exist; a call that would need one is a trap.
//!
//! Written here rather than taken from wasmtime-wasi: that one can open files and sockets, this one cannot.

use crate::contract::{is_wasi, parse};
use crate::fault::raise;
use crate::host::{State, charge};
use crate::wire::Level;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use streamalert_pipeline::plugin::PluginErrorKind as Kind;
use wasmtime::StoreContextMut;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType, WasmList,
};

/// Bytes of a line of standard output that are held until its end comes.
pub const LINE_BYTES_MAX: usize = 4096;
/// Random bytes of one call: enough for any seed or key.
const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// Bytes a guest may write to a stream at once, as we tell it.
const WRITE_BYTES: u64 = 64 << 10;

/// Ready at once, whatever it waits for: a guest cannot sleep.
pub struct Pollable;
pub struct IoError;
pub struct InputStream;
/// Number 0 is standard output, 1 is standard error.
pub struct OutputStream;
struct TerminalInput;
struct TerminalOutput;
struct Descriptor;
/// Any resource of an interface that is there in name only.
struct Absent;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code, reason = "our streams do not fail, but the type has the case")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    #[component(name = "seconds")]
    seconds: u64,
    #[component(name = "nanoseconds")]
    nanoseconds: u32,
}

type Cx<'a> = StoreContextMut<'a, State>;

/// Links what the component imports of WASI, under the very versions it names.
pub fn link(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (full, import) in component.component_type().imports(&engine) {
        let Some(name) = parse(full).filter(|name| is_wasi(*name)) else { continue };
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        let mut to = linker.instance(full)?;
        let short = format!("{}/{}", &name.package["wasi:".len()..], name.interface);
        for (item, export) in interface.exports(&engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_)
                    if !(stdio(&mut to, &short, item)? || ambient(&mut to, &short, item)?) =>
                {
                    absent(&mut to, &short, item)?;
                }
                ComponentItem::Resource(_) => to.resource(item, resource(item), |_, _| Ok(()))?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// A resource's name means the same type in every interface that uses it.
fn resource(name: &str) -> ResourceType {
    match name {
        "pollable" => ResourceType::host::<Pollable>(),
        "error" => ResourceType::host::<IoError>(),
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "terminal-input" => ResourceType::host::<TerminalInput>(),
        "terminal-output" => ResourceType::host::<TerminalOutput>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        _ => ResourceType::host::<Absent>(),
    }
}

fn absent(to: &mut LinkerInstance<State>, interface: &str, item: &str) -> wasmtime::Result<()> {
    let message = format!("called wasi:{interface}#{item}: plugins have no files, sockets, environment or processes");
    to.func_new(item, move |_, _, _, _| raise(Kind::Trap, message.clone()))
}

/// Streams, polling, terminals. `false`: not one of them.
fn stdio(to: &mut LinkerInstance<State>, interface: &str, item: &str) -> wasmtime::Result<bool> {
    match (interface, item) {
        ("cli/stdin", "get-stdin") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((Resource::<InputStream>::new_own(0),))
        })?,
        ("cli/stdout", "get-stdout") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((Resource::<OutputStream>::new_own(0),))
        })?,
        ("cli/stderr", "get-stderr") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((Resource::<OutputStream>::new_own(1),))
        })?,
        ("cli/terminal-stdin", "get-terminal-stdin") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((None::<Resource<TerminalInput>>,))
        })?,
        ("cli/terminal-stdout", "get-terminal-stdout") | ("cli/terminal-stderr", "get-terminal-stderr") => to
            .func_wrap(item, |mut cx: Cx, (): ()| {
                charge(&mut cx, 0)?;
                Ok((None::<Resource<TerminalOutput>>,))
            })?,
        ("io/error", "[method]error.to-debug-string") => {
            to.func_wrap(item, |mut cx: Cx, (_,): (Resource<IoError>,)| {
                charge(&mut cx, 0)?;
                Ok(("the stream is closed".to_owned(),))
            })?
        }
        ("io/poll", "[method]pollable.ready") => to.func_wrap(item, |mut cx: Cx, (_,): (Resource<Pollable>,)| {
            charge(&mut cx, 0)?;
            Ok((true,))
        })?,
        ("io/poll", "[method]pollable.block") => to.func_wrap(item, |mut cx: Cx, (_,): (Resource<Pollable>,)| {
            charge(&mut cx, 0)?;
            Ok(())
        })?,
        ("io/poll", "poll") => to.func_wrap(item, |mut cx: Cx, (waiting,): (Vec<Resource<Pollable>>,)| {
            charge(&mut cx, waiting.len() * 8)?;
            if waiting.is_empty() {
                return raise(Kind::Trap, "polls an empty list");
            }
            Ok(((0..waiting.len() as u32).collect::<Vec<_>>(),))
        })?,
        ("io/streams", "[method]input-stream.read" | "[method]input-stream.blocking-read") => {
            to.func_wrap(item, |mut cx: Cx, (_, _): (Resource<InputStream>, u64)| {
                charge(&mut cx, 0)?;
                Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
            })?
        }
        ("io/streams", "[method]input-stream.skip" | "[method]input-stream.blocking-skip") => {
            to.func_wrap(item, |mut cx: Cx, (_, _): (Resource<InputStream>, u64)| {
                charge(&mut cx, 0)?;
                Ok((Err::<u64, _>(StreamError::Closed),))
            })?
        }
        ("io/streams", "[method]input-stream.subscribe") => {
            to.func_wrap(item, |mut cx: Cx, (_,): (Resource<InputStream>,)| {
                charge(&mut cx, 0)?;
                Ok((Resource::<Pollable>::new_own(0),))
            })?
        }
        ("io/streams", "[method]output-stream.subscribe") => {
            to.func_wrap(item, |mut cx: Cx, (_,): (Resource<OutputStream>,)| {
                charge(&mut cx, 0)?;
                Ok((Resource::<Pollable>::new_own(0),))
            })?
        }
        ("io/streams", "[method]output-stream.check-write") => {
            to.func_wrap(item, |mut cx: Cx, (_,): (Resource<OutputStream>,)| {
                charge(&mut cx, 0)?;
                Ok((Ok::<_, StreamError>(WRITE_BYTES),))
            })?
        }
        ("io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => to
            .func_wrap(item, |mut cx: Cx, (stream, bytes): (Resource<OutputStream>, WasmList<u8>)| {
                charge(&mut cx, bytes.len())?;
                // Copied, since the guest's memory and our buffer lie in one store; the answer's cap bounds it.
                let bytes = bytes.as_le_slice(&cx).to_vec();
                write(cx.data_mut(), stream.rep(), &bytes);
                Ok((Ok::<(), StreamError>(()),))
            })?,
        ("io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            to.func_wrap(item, |mut cx: Cx, (_,): (Resource<OutputStream>,)| {
                charge(&mut cx, 0)?;
                Ok((Ok::<(), StreamError>(()),))
            })?
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Clocks, random numbers, and the empty places. `false`: not one of them.
fn ambient(to: &mut LinkerInstance<State>, interface: &str, item: &str) -> wasmtime::Result<bool> {
    match (interface, item) {
        ("cli/environment", "get-environment") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((Vec::<(String, String)>::new(),))
        })?,
        ("cli/environment", "get-arguments") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((Vec::<String>::new(),))
        })?,
        ("cli/environment", "initial-cwd") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((None::<String>,))
        })?,
        ("cli/exit", "exit") => to.func_wrap(item, |_: Cx, (status,): (Result<(), ()>,)| {
            let how = if status.is_ok() { "success" } else { "failure" };
            raise::<()>(Kind::Trap, format!("called exit, with {how}"))
        })?,
        ("filesystem/preopens", "get-directories") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
        })?,
        ("clocks/monotonic-clock", "now") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((monotonic(),))
        })?,
        ("clocks/monotonic-clock", "resolution") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((1u64,))
        })?,
        ("clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration") => {
            to.func_wrap(item, |mut cx: Cx, (_,): (u64,)| {
                charge(&mut cx, 0)?;
                Ok((Resource::<Pollable>::new_own(0),))
            })?
        }
        ("clocks/wall-clock", "now") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok((Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() },))
        })?,
        ("clocks/wall-clock", "resolution") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 0)?;
            Ok((Datetime { seconds: 0, nanoseconds: 1 },))
        })?,
        ("random/random", "get-random-bytes") | ("random/insecure", "get-insecure-random-bytes") => {
            to.func_wrap(item, |mut cx: Cx, (count,): (u64,)| {
                if count > RANDOM_BYTES_MAX {
                    return raise(Kind::Trap, format!("wants {count} random bytes; {RANDOM_BYTES_MAX} come at once"));
                }
                // A random byte costs some ten times a copied one.
                charge(&mut cx, count as usize * 10)?;
                let mut bytes = vec![0; count as usize];
                random(&mut bytes)?;
                Ok((bytes,))
            })?
        }
        ("random/random", "get-random-u64") | ("random/insecure", "get-insecure-random-u64") => {
            to.func_wrap(item, |mut cx: Cx, (): ()| {
                charge(&mut cx, 80)?;
                Ok((random_u64()?,))
            })?
        }
        ("random/insecure-seed", "insecure-seed") => to.func_wrap(item, |mut cx: Cx, (): ()| {
            charge(&mut cx, 160)?;
            Ok(((random_u64()?, random_u64()?),))
        })?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn monotonic() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

fn random_u64() -> wasmtime::Result<u64> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(unix)]
fn random(bytes: &mut [u8]) -> wasmtime::Result<()> {
    use std::fs::File;
    use std::io::Read;
    static SOURCE: OnceLock<Result<File, String>> = OnceLock::new();
    let source = SOURCE.get_or_init(|| File::open("/dev/urandom").map_err(|error| error.to_string()));
    match source {
        Ok(file) => match (&mut &*file).read_exact(bytes) {
            Ok(()) => Ok(()),
            Err(error) => raise(Kind::HostCall, format!("read random bytes: {error}")),
        },
        Err(error) => raise(Kind::HostCall, format!("open the source of random bytes: {error}")),
    }
}

#[cfg(not(unix))]
fn random(_: &mut [u8]) -> wasmtime::Result<()> {
    raise(Kind::HostCall, "random bytes for plugins are there on Unix only")
}

/// Standard output goes to the log line by line: what is written to it is for whoever debugs the rule.
fn write(state: &mut State, stream: u32, bytes: &[u8]) {
    let stream = (stream as usize).min(1);
    for (index, piece) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            line(state, stream);
        }
        let buffer = &mut state.stdio[stream];
        let room = LINE_BYTES_MAX.saturating_sub(buffer.len());
        buffer.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

fn line(state: &mut State, stream: usize) {
    let bytes = std::mem::take(&mut state.stdio[stream]);
    let level = if stream == 0 { Level::Info } else { Level::Warn };
    state.log(level, &String::from_utf8_lossy(&bytes));
}

/// What stands in the buffers without the end of its line, at the end of a call.
pub fn flush(state: &mut State) {
    for stream in [0, 1] {
        if !state.stdio[stream].is_empty() {
            line(state, stream);
        }
    }
}
