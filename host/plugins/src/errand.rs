//! What an output may do in the world while it delivers, and an app while it polls: call hosts and read secrets, both through
//! [`Outside`].

use crate::host::{State, charge, text};
use crate::limits::ticks;
use crate::wire::{Failure, FailureKind, Request, Response};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_pipeline::plugin::{Outside, Setting};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

/// One attempt to deliver, or one poll, as long as it lasts.
pub struct Errand {
    outside: Arc<dyn Outside>,
    /// Names of settings that are secret.
    secrets: Vec<String>,
    requests_left: usize,
    /// What the guest may still run, when it last came back from waiting, and when that was.
    left: Duration,
    running_since: Instant,
}

impl Errand {
    pub fn new(outside: Arc<dyn Outside>, settings: &[Setting], requests: usize, deadline: Duration) -> Self {
        let secrets = settings.iter().filter(|setting| setting.secret).map(|setting| setting.name.clone()).collect();
        Errand { outside, secrets, requests_left: requests, left: deadline, running_since: Instant::now() }
    }

    fn secret(&self, name: &str) -> Option<String> {
        if self.secrets.iter().any(|known| known == name) { self.outside.secret(name) } else { None }
    }
}

fn forbidden(message: String) -> Failure {
    Failure { kind: FailureKind::Forbidden, message, sent: false }
}

fn send(cx: &mut StoreContextMut<State>, request: Request) -> wasmtime::Result<Result<Response, Failure>> {
    charge(cx, request.bytes())?;
    let requests = cx.data().limits().delivery_requests;
    let Some(errand) = &mut cx.data_mut().errand else {
        return Ok(Err(forbidden(
            "requests are made while an alert is delivered or an app polled, and at no other time".into(),
        )));
    };
    let Some(left) = errand.requests_left.checked_sub(1) else {
        return Ok(Err(forbidden(format!("this attempt has made {requests} requests already"))));
    };
    errand.requests_left = left;
    errand.left = errand.left.saturating_sub(errand.running_since.elapsed());
    let (outside, left) = (errand.outside.clone(), errand.left);
    let answer = outside.http(request.into()).map(Response::from).map_err(Failure::from);
    // The guard is for guests that run: the time it took to get an answer is not theirs.
    if let Some(errand) = &mut cx.data_mut().errand {
        errand.running_since = Instant::now();
    }
    cx.set_epoch_deadline(ticks(left));
    charge(cx, answer.as_ref().map_or(0, Response::bytes))?;
    Ok(answer)
}

/// The interfaces `http` and `secrets`.
pub fn link(linker: &mut Linker<State>, version: &str) -> wasmtime::Result<()> {
    let mut http = linker.instance(&format!("streamalert:plugin/http@{version}"))?;
    http.func_wrap("send", |mut cx: StoreContextMut<State>, (request,): (Request,)| Ok((send(&mut cx, request)?,)))?;

    let mut secrets = linker.instance(&format!("streamalert:plugin/secrets@{version}"))?;
    secrets.func_wrap("get", |mut cx: StoreContextMut<State>, (name,): (WasmStr,)| {
        let name = text(&mut cx, &name, "the name of a secret")?.into_owned();
        let value = cx.data().errand.as_ref().and_then(|errand| errand.secret(&name));
        charge(&mut cx, value.as_ref().map_or(0, String::len))?;
        Ok((value,))
    })?;
    Ok(())
}
