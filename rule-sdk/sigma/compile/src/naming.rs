//! Names of rules, which become part of alerts' ids: made of the title, and the same in every import.

use crate::Ready;
use std::collections::BTreeMap;

/// Bytes of a name before what tells it from others; the host takes 128.
const NAME_BYTES_MAX: usize = 100;
/// Characters of an id that tell rules of one title apart.
const ID_CHARS: usize = 8;

/// `Root login, without MFA` is called `sigma_root_login_without_mfa`.
pub fn name(title: &str) -> String {
    let mut name = "sigma".to_owned();
    let mut between = true;
    for c in title.chars() {
        if c.is_ascii_alphanumeric() {
            name.extend(between.then_some('_'));
            name.push(c.to_ascii_lowercase());
        }
        between = !c.is_ascii_alphanumeric();
    }
    name.truncate(NAME_BYTES_MAX);
    name.trim_end_matches('_').to_owned()
}

/// Of rules with one name, each gets the beginning of its id behind it, or where it has none or that does not help, a number.
pub fn make_unique(rules: &mut [Ready]) {
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, ready) in rules.iter().enumerate() {
        by_name.entry(ready.rule.name.clone()).or_default().push(place);
    }
    let mut taken: Vec<String> = by_name.keys().cloned().collect();
    for (name, mut places) in by_name {
        if places.len() < 2 && name != "sigma" {
            continue;
        }
        // Not the order in which files were read.
        places.sort_by_key(|place| (id(&rules[*place]), rules[*place].file.clone()));
        for (number, place) in places.into_iter().enumerate() {
            let id: String = id(&rules[place]).chars().filter(char::is_ascii_alphanumeric).take(ID_CHARS).collect();
            let mut new = match id.is_empty() {
                true => format!("{name}_{}", number + 1),
                false => format!("{name}_{}", id.to_ascii_lowercase()),
            };
            let mut further = 2;
            while taken.contains(&new) {
                new = format!("{}_{further}", new.trim_end_matches(&format!("_{}", further - 1)));
                further += 1;
            }
            taken.push(new.clone());
            rules[place].rule.name = new;
        }
    }
}

fn id(ready: &Ready) -> String {
    let about = ready.rule.options.get("context").and_then(|context| context["sigma"]["id"].as_str());
    about.unwrap_or_default().to_owned()
}
