# What generate.sh makes of each world: what its core module imports of the plugin's interfaces besides the log, and exports.

imports_of() {
    case $1 in
    rule) cat <<'WAT' ;;
  (import "streamalert:plugin/records@0.1.0" "get" (func (param i32 i32 i32 i32)))
  (import "streamalert:plugin/records@0.1.0" "json" (func (param i32 i32)))
  (import "streamalert:plugin/records@0.1.0" "packed" (func (param i32)))
  (import "streamalert:plugin/lookup@0.1.0" "get" (func (param i32 i32 i32 i32 i32)))
WAT
    output) cat <<'WAT' ;;
  (import "streamalert:plugin/http@0.1.0" "send" (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "streamalert:plugin/secrets@0.1.0" "get" (func (param i32 i32 i32)))
WAT
    esac
}

exports_of() {
    case $1 in
    rule) cat <<'WAT' ;;
  (func (export "streamalert:plugin/detection@0.1.0#describe") (result i32) unreachable)
  (func (export "streamalert:plugin/detection@0.1.0#evaluate") (param i32 i64 i32 i32 i32) (result i32) unreachable)
WAT
    parser) cat <<'WAT' ;;
  (func (export "streamalert:plugin/parsing@0.1.0#describe") (result i32) unreachable)
  (func (export "streamalert:plugin/parsing@0.1.0#sniff") (param i32 i32) (result i32) unreachable)
  (func (export "streamalert:plugin/parsing@0.1.0#parse") (param i32 i32) (result i32) unreachable)
WAT
    publisher) cat <<'WAT' ;;
  (func (export "streamalert:plugin/publishing@0.1.0#describe") (result i32) unreachable)
  (func (export "streamalert:plugin/publishing@0.1.0#publish") (param i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
WAT
    output) cat <<'WAT' ;;
  (func (export "streamalert:plugin/delivery@0.1.0#describe") (result i32) unreachable)
  (func (export "streamalert:plugin/delivery@0.1.0#validate") (param i32 i32) (result i32) unreachable)
  (func (export "streamalert:plugin/delivery@0.1.0#deliver")
    (param i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
WAT
    esac
}
