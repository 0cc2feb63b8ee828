//! What an address finds in one of MaxMind's databases.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maxminddb::Reader;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::net::IpAddr;

pub struct Mmdb(Reader<Vec<u8>>);

impl Mmdb {
    pub fn read(bytes: Vec<u8>) -> Result<Mmdb, String> {
        Reader::from_source(bytes).map(Mmdb).map_err(|error| format!("it is no MMDB: {error}"))
    }

    /// For people: `GeoLite2-City of 2026-01-02`.
    pub fn kind(&self) -> String {
        let about = self.0.metadata();
        let built =
            i64::try_from(about.build_epoch).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        let built = built.map(|at| at.to_string()).unwrap_or_default();
        format!("{} of {}", about.database_type, built.split('T').next().unwrap_or_default())
    }

    /// The entry of the network that an address lies in, as JSON; none for what is no address.
    pub fn get(&self, key: &str) -> Result<Option<String>, String> {
        let Ok(address) = key.trim().parse::<IpAddr>() else { return Ok(None) };
        let address = address.to_canonical();
        if address.is_ipv6() && self.0.metadata().ip_version == 4 {
            return Ok(None);
        }
        let failed = |error: maxminddb::MaxMindDbError| format!("its entry of {address} is broken: {error}");
        let found = self.0.lookup(address).map_err(failed)?;
        let entry: Option<Json> = found.decode().map_err(failed)?;
        Ok(entry.map(|Json(value)| value.to_string()))
    }
}

/// With bytes and large numbers as texts, which JSON has not.
struct Json(Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json(value.into()))
            }
            fn visit_u128<E>(self, value: u128) -> Result<Json, E> {
                Ok(Json(u64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from)))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json(value.into()))
            }
            fn visit_bytes<E>(self, value: &[u8]) -> Result<Json, E> {
                Ok(Json(BASE64_STANDARD.encode(value).into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
                let mut all = Vec::new();
                while let Some(Json(item)) = items.next_element()? {
                    all.push(item);
                }
                Ok(Json(Value::Array(all)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
                let mut all = Map::new();
                while let Some((key, Json(value))) = entries.next_entry::<String, Json>()? {
                    all.insert(key, value);
                }
                Ok(Json(Value::Object(all)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
