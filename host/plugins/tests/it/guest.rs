//! Components of rules written by hand in WAT: they do what no toolchain would, and need none.

use std::fmt::Write;

/// A component under construction. `rules` are the names and the bodies of functions that get `$rule`, `$id`, `$rows`,
/// `$count` and `$explain`, and return the address of a list of findings.
pub struct Guest<'a> {
    pub rules: Vec<(&'a str, &'a str)>,
    /// Runs when the component is asked to describe itself.
    pub on_describe: &'a str,
    pub version: &'a str,
    pub options: &'a str,
    /// Empty: none.
    pub logs: &'a str,
    /// Further imports, at the component's top.
    pub imports: &'a str,
    /// How these become core functions, how those are passed to the core module, and how it takes them.
    pub lower: &'a str,
    pub pass: &'a str,
    pub take: &'a str,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Guest {
            rules: vec![("good", EVERY_ROW)],
            on_describe: "",
            version: "0.1.0",
            options: "{}",
            logs: "any",
            imports: "",
            lower: "",
            pass: "",
            take: "",
        }
    }
}

/// Reports each row it is asked about.
pub const EVERY_ROW: &str = "(call $findings (local.get $rows) (local.get $count))";
/// Reports nothing.
pub const NOTHING: &str = "(call $list (i32.const 0) (i32.const 0))";

/// The types of `detection`, by the names this file uses.
const TYPES: &str = r#"
  (type $test (variant (case "equals" (list $value)) (case "prefix" (list string)) (case "suffix" (list string))
    (case "contains" (list string)) (case "exists")))
  (type $condition (record (field "path" string) (field "test" $test)))
  (type $rule-info (record (field "name" string) (field "description" string) (field "logs" (list string))
    (field "when" (list $condition)) (field "options" string)))
  (type $batch-info (record (field "id" u64) (field "rows" (list u32)) (field "explain" bool)))
  (type $finding (record (field "row" u32) (field "title" (option string)) (field "severity" (option $severity))
    (field "dedup-key" (option string)) (field "context" (option string)) (field "outputs" (list string))))"#;

/// Gives the types names in the exported interface, the way every component generator does.
const SHIM: &str = r#"
  (component $shim
    (type $v (variant (case "absent") (case "boolean" bool) (case "integer" s64) (case "float" float64)
      (case "text" string) (case "json" string)))
    (import "type-value" (type $value (eq $v)))
    (type $s (enum "info" "low" "medium" "high" "critical"))
    (import "type-severity" (type $severity (eq $s)))
    (type $t (variant (case "equals" (list $value)) (case "prefix" (list string)) (case "suffix" (list string))
      (case "contains" (list string)) (case "exists")))
    (import "type-test" (type $test (eq $t)))
    (type $c (record (field "path" string) (field "test" $test)))
    (import "type-condition" (type $condition (eq $c)))
    (type $r (record (field "name" string) (field "description" string) (field "logs" (list string))
      (field "when" (list $condition)) (field "options" string)))
    (import "type-rule-info" (type $rule-info (eq $r)))
    (type $b (record (field "id" u64) (field "rows" (list u32)) (field "explain" bool)))
    (import "type-batch-info" (type $batch-info (eq $b)))
    (type $f (record (field "row" u32) (field "title" (option string)) (field "severity" (option $severity))
      (field "dedup-key" (option string)) (field "context" (option string)) (field "outputs" (list string))))
    (import "type-finding" (type $finding (eq $f)))
    (import "describe" (func $describe (result (list $rule-info))))
    (import "evaluate" (func $evaluate (param "rule" u32) (param "batch" $batch-info) (result (list $finding))))
    (export $value-out "value" (type $value))
    (export $severity-out "severity" (type $severity))
    (type $t2 (variant (case "equals" (list $value-out)) (case "prefix" (list string)) (case "suffix" (list string))
      (case "contains" (list string)) (case "exists")))
    (export $test-out "test" (type $t2))
    (type $c2 (record (field "path" string) (field "test" $test-out)))
    (export $condition-out "condition" (type $c2))
    (type $r2 (record (field "name" string) (field "description" string) (field "logs" (list string))
      (field "when" (list $condition-out)) (field "options" string)))
    (export $rule-info-out "rule-info" (type $r2))
    (type $b2 (record (field "id" u64) (field "rows" (list u32)) (field "explain" bool)))
    (export $batch-info-out "batch-info" (type $b2))
    (type $f2 (record (field "row" u32) (field "title" (option string)) (field "severity" (option $severity-out))
      (field "dedup-key" (option string)) (field "context" (option string)) (field "outputs" (list string))))
    (export $finding-out "finding" (type $f2))
    (export "describe" (func $describe) (func (result (list $rule-info-out))))
    (export "evaluate" (func $evaluate)
      (func (param "rule" u32) (param "batch" $batch-info-out) (result (list $finding-out)))))
  (instance $detection (instantiate $shim
    (with "type-value" (type $value)) (with "type-severity" (type $severity)) (with "type-test" (type $test))
    (with "type-condition" (type $condition)) (with "type-rule-info" (type $rule-info))
    (with "type-batch-info" (type $batch-info)) (with "type-finding" (type $finding))
    (with "describe" (func $describe)) (with "evaluate" (func $evaluate))))"#;

impl Guest<'_> {
    pub fn build(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn text(&self) -> String {
        let Guest { version, imports, on_describe, lower, pass, take, .. } = self;
        let (data, infos) = self.data();
        let count = self.rules.len();
        let (mut bodies, mut dispatch) = (String::new(), String::new());
        for (index, (_, body)) in self.rules.iter().enumerate() {
            let params = "(param $rule i32) (param $id i64) (param $rows i32) (param $count i32) (param $explain i32)";
            let _ = writeln!(bodies, "(func $rule{index} {params} (result i32) (local $at i32) (local $n i32) {body})");
            let args = "(local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)";
            let _ = writeln!(
                dispatch,
                "(if (i32.eq (local.get 0) (i32.const {index})) (then (return (call $rule{index} {args}))))"
            );
        }
        format!(
            r#"(component
  (import "streamalert:plugin/types@{version}" (instance $types
    (type $v (variant (case "absent") (case "boolean" bool) (case "integer" s64) (case "float" float64)
      (case "text" string) (case "json" string)))
    (export "value" (type (eq $v)))
    (type $s (enum "info" "low" "medium" "high" "critical"))
    (export "severity" (type (eq $s)))))
  (alias export $types "value" (type $value))
  (alias export $types "severity" (type $severity))
  (import "streamalert:plugin/records@{version}" (instance $records
    (alias outer 1 $value (type $v))
    (export "value" (type $value (eq $v)))
    (export "get" (func (param "row" u32) (param "path" string) (result $value)))
    (export "json" (func (param "row" u32) (result string)))
    (export "packed" (func (result (list u8))))))
  (import "streamalert:plugin/lookup@{version}" (instance $lookup
    (export "get" (func (param "table" string) (param "key" string) (result (option string))))))
  (import "streamalert:plugin/log@{version}" (instance $log
    (type $l (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $l)))
    (export "write" (func (param "level" $level) (param "message" string)))))
  {imports}
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 32768))
    (func (export "reset") (param i32) (global.set $next (i32.const 32768)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
        (then (if (i32.eq (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1))) (i32.const -1))
          (then (unreachable)))))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $get (canon lower (func $records "get") (memory $memory) (realloc $realloc)))
  (core func $json (canon lower (func $records "json") (memory $memory) (realloc $realloc)))
  (core func $packed (canon lower (func $records "packed") (memory $memory) (realloc $realloc)))
  (core func $lookup (canon lower (func $lookup "get") (memory $memory) (realloc $realloc)))
  (core func $write (canon lower (func $log "write") (memory $memory)))
  {lower}
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "get" (func $get (param i32 i32 i32 i32)))
    (import "host" "json" (func $json (param i32 i32)))
    (import "host" "packed" (func $packed (param i32)))
    (import "host" "lookup" (func $lookup (param i32 i32 i32 i32 i32)))
    (import "host" "write" (func $write (param i32 i32 i32)))
    {take}
    {data}
    (func $alloc (param i32) (result i32)
      (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (local.get 0)))
    (func $list (param $from i32) (param $length i32) (result i32)
      (local $area i32)
      (local.set $area (call $alloc (i32.const 8)))
      (i32.store (local.get $area) (local.get $from))
      (i32.store offset=4 (local.get $area) (local.get $length))
      (local.get $area))
    ;; A finding without anything but its row, for each of `$count` numbers at `$rows`.
    (func $findings (param $rows i32) (param $count i32) (result i32)
      (local $i i32) (local $out i32)
      (local.set $out (call $alloc (i32.mul (local.get $count) (i32.const 52))))
      (memory.fill (local.get $out) (i32.const 0) (i32.mul (local.get $count) (i32.const 52)))
      (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
        (i32.store (i32.add (local.get $out) (i32.mul (local.get $i) (i32.const 52)))
          (i32.load (i32.add (local.get $rows) (i32.mul (local.get $i) (i32.const 4)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
      (call $list (local.get $out) (local.get $count)))
    (func $deeper (param i32) (result i32)
      (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    {bodies}
    (func (export "describe") (result i32)
      {on_describe}
      (call $list (i32.const {infos}) (i32.const {count})))
    (func (export "evaluate") (param i32 i64 i32 i32 i32) (result i32)
      {dispatch}
      (unreachable)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get" (func $get)) (export "json" (func $json)) (export "packed" (func $packed))
      (export "lookup" (func $lookup)) (export "write" (func $write))
      {pass}))))
  {TYPES}
  (func $describe (result (list $rule-info))
    (canon lift (core func $main "describe") (memory $memory) (realloc $realloc)))
  (func $evaluate (param "rule" u32) (param "batch" $batch-info) (result (list $finding))
    (canon lift (core func $main "evaluate") (memory $memory) (realloc $realloc)
      (post-return (core func $libc "reset"))))
  {SHIM}
  (export "streamalert:plugin/detection@{version}" (instance $detection))
)"#
        )
    }

    /// Texts and rule-infos in memory, from address 1024 on.
    fn data(&self) -> (String, usize) {
        let mut bytes: Vec<u8> = Vec::new();
        const BASE: usize = 1024;
        let put = |bytes: &mut Vec<u8>, text: &str| {
            let at = BASE + bytes.len();
            bytes.extend_from_slice(text.as_bytes());
            [at as u32, text.len() as u32]
        };
        let mut infos: Vec<u32> = Vec::new();
        for (name, _) in &self.rules {
            let name = put(&mut bytes, name);
            let log = put(&mut bytes, self.logs);
            let options = put(&mut bytes, self.options);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let logs = [(BASE + bytes.len()) as u32, u32::from(!self.logs.is_empty())];
            bytes.extend(log.iter().flat_map(|n| n.to_le_bytes()));
            infos.extend(name);
            infos.extend(name);
            infos.extend(logs);
            infos.extend([0, 0]);
            infos.extend(options);
        }
        let at = BASE + bytes.len();
        bytes.extend(infos.iter().flat_map(|n| n.to_le_bytes()));
        let escaped = bytes.iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "\\{byte:02x}");
            out
        });
        (format!("(data (i32.const {BASE}) \"{escaped}\")"), at)
    }
}
