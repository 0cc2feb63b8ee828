//! One instance of a component, and every call into it under a budget.

use crate::component::{Code, Problem};
use crate::contract::{self, World};
use crate::fault::judge;
use crate::host::State;
use crate::limits::{Budget, EPOCH_TICK, HANDLES_MAX};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use streamalert_pipeline::plugin::{PluginError, PluginErrorKind as Kind};
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Func, Lift, Lower};
use wasmtime::component::{Instance, TypedFunc};
use wasmtime::{PoolConcurrencyLimitError, Store};

/// Instances that wait for work.
#[derive(Default)]
pub struct Idle {
    waiting: Mutex<Vec<Sandbox>>,
}

/// More than any number of threads that share a component at a time.
const IDLE_MAX: usize = 64;

impl Idle {
    /// The one that was used last: its memory is still in the processor's caches.
    pub fn take(&self) -> Option<Sandbox> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// One that waits, or a fresh one.
    pub fn take_or_start(&self, code: &Code) -> Result<Sandbox, PluginError> {
        self.take().map_or_else(|| code.start(), Ok)
    }

    /// Works with a waiting sandbox or a fresh one. After an error it is dropped: what a trap left behind in it is nobody's
    /// starting point.
    pub fn with<T>(
        &self,
        code: &Code,
        work: impl FnOnce(&mut Sandbox) -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        let mut sandbox = self.take_or_start(code)?;
        let answer = work(&mut sandbox)?;
        self.give_back(sandbox);
        Ok(answer)
    }

    pub fn put(&self, sandbox: Sandbox) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < IDLE_MAX {
            waiting.push(sandbox);
        }
    }

    /// Takes back an instance that has done what it was taken for, unless it has served long enough, or has grown so large
    /// that it would hold memory others need.
    pub fn give_back(&self, mut sandbox: Sandbox) {
        sandbox.turns_left = sandbox.turns_left.saturating_sub(1);
        let state = sandbox.store.data();
        if sandbox.turns_left > 0 && state.memory() <= state.limits().memory_bytes {
            self.put(sandbox);
        }
    }

    pub fn clear(&self) {
        let dropped = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        drop(dropped);
    }
}

/// Where a component keeps the functions of its world's interface.
pub struct Exports {
    world: World,
    pub describe: ComponentExportIndex,
    /// What it is there for: `evaluate`, `parse`, `publish`, `deliver` or `poll`.
    work: ComponentExportIndex,
    /// `sniff` of a parser, `validate` of an output and of apps.
    pub aside: Option<ComponentExportIndex>,
}

impl Exports {
    pub fn find(component: &Component, world: World, version: &str) -> Result<Self, Problem> {
        let interface = format!("{}/{}@{version}", contract::PACKAGE, world.interface());
        let lacks = |what: &str| {
            Problem::component(
                format!("{interface} lacks `{what}`"),
                "build it against the wit/ of this release, unchanged",
            )
        };
        let instance = component.get_export_index(None, &interface).ok_or_else(|| lacks(world.interface()))?;
        let find = |name: &str| component.get_export_index(Some(&instance), name).ok_or_else(|| lacks(name));
        let aside = match world {
            World::Rule | World::Publisher => None,
            World::Parser => Some(find("sniff")?),
            World::Output | World::App => Some(find("validate")?),
        };
        Ok(Exports { world, describe: find("describe")?, work: find(world.work())?, aside })
    }
}

/// One instance of a component with everything around it.
pub struct Sandbox {
    pub store: Store<State>,
    instance: Instance,
    work: Func,
    turns_left: u32,
}

impl Sandbox {
    pub fn start(code: &Code) -> Result<Self, PluginError> {
        let limits = code.limits();
        match Self::try_start(code) {
            Err((error, _)) if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() => {
                code.shared.evict_idle();
                Self::try_start(code)
            }
            other => other,
        }
        .map_err(|(error, state)| judge(&error, &state, limits.fuel_to_start, limits.answer_bytes))
    }

    fn try_start(code: &Code) -> Result<Self, (wasmtime::Error, Box<State>)> {
        let Code { shared, exports, .. } = code;
        let limits = code.limits();
        let memory_max = match exports.world {
            World::Rule | World::Publisher | World::Output => limits.memory_bytes,
            // An app has the largest answer there may be, as text and as values, at once.
            World::Parser | World::App => limits.parser_memory_bytes,
        };
        let mut store = Store::new(&shared.engine, State::new(shared.clone(), code.name.clone(), memory_max));
        store.limiter(|state| state);
        store.set_hostcall_fuel(limits.answer_bytes);
        store.set_max_component_handles(HANDLES_MAX);
        let started = (|| {
            store.set_fuel(limits.fuel_to_start)?;
            store.set_epoch_deadline(limits.ticks(0, 0));
            let instance = code.pre.instantiate(&mut store)?;
            let lacks = || wasmtime::Error::msg(format!("`{}` is no function", exports.world.work()));
            let work = instance.get_func(&mut store, exports.work).ok_or_else(lacks)?;
            Ok((instance, work))
        })();
        match started {
            Ok((instance, work)) => {
                let spread = u64::from(limits.instance_batches / 5).max(1);
                let turns_left =
                    limits.instance_batches - limits.instance_batches / 10 + (shared.random() % spread) as u32;
                Ok(Sandbox { store, instance, work, turns_left: turns_left.max(1) })
            }
            Err(error) => Err((error, Box::new(store.into_data()))),
        }
    }

    /// A function by its place, with its type checked.
    pub fn function<P, R>(
        &mut self,
        index: ComponentExportIndex,
        name: &str,
        world: World,
    ) -> Result<TypedFunc<P, R>, PluginError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let found = self.instance.get_typed_func(&mut self.store, index);
        found.map_err(|error| other_type(name, world, &error))
    }

    /// Whether what the component is there for takes and answers these types. Once for a component: all its instances have
    /// the same, which is what [`Sandbox::work`] relies on.
    pub fn check_work<P, R>(&self, world: World) -> Result<(), PluginError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let typed: wasmtime::Result<TypedFunc<P, R>> = self.work.typed(&self.store);
        typed.map(|_| ()).map_err(|error| other_type(world.work(), world, &error))
    }

    /// What the component is there for, without another check of its type.
    ///
    /// # Safety
    ///
    /// [`Sandbox::check_work`] has approved of the same types for an instance of the same component.
    pub unsafe fn work<P, R>(&self) -> TypedFunc<P, R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        // SAFETY: as above.
        unsafe { TypedFunc::new_unchecked(self.work) }
    }

    /// The function beside the work, with its type checked.
    pub fn aside<P, R>(&mut self, exports: &Exports, name: &str) -> Result<TypedFunc<P, R>, PluginError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let index = exports.aside.ok_or_else(|| PluginError::new(Kind::BadAnswer, format!("there is no `{name}`")))?;
        self.function(index, name, exports.world)
    }

    /// What a component may use up before it does any work.
    pub fn starting(&self) -> Budget {
        let limits = self.store.data().limits();
        Budget { fuel: limits.fuel_to_start, ticks: limits.ticks(0, 0), answer: limits.describe_bytes }
    }

    /// One call into the guest under its budget; what it used of its fuel comes back.
    pub fn call<T>(
        &mut self,
        budget: Budget,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<(T, u64), PluginError> {
        let Budget { fuel, ticks, answer } = budget;
        let store = &mut self.store;
        store.data_mut().begin();
        store.data_mut().until = Instant::now() + EPOCH_TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
        let result = catch_unwind(AssertUnwindSafe(|| {
            store.set_fuel(fuel)?;
            store.set_epoch_deadline(ticks);
            store.set_hostcall_fuel(answer);
            call(store)
        }));
        store.data_mut().finish();
        match result {
            Ok(Ok(answer)) => {
                let left = store.get_fuel().unwrap_or(0);
                Ok((answer, fuel.saturating_sub(left)))
            }
            Ok(Err(error)) => Err(judge(&error, store.data(), fuel, answer)),
            // A host function of ours panicked. The store is dropped with the sandbox.
            Err(_) => Err(PluginError::new(Kind::HostCall, "the host failed while it served the guest")),
        }
    }
}

fn other_type(function: &str, world: World, error: &wasmtime::Error) -> PluginError {
    let file = world.interface();
    PluginError::new(Kind::BadAnswer, format!("`{function}` is of another type than in wit/{file}.wit: {error:#}"))
}
