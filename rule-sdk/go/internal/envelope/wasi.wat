;; What a language's runtime asks of WASI (preview 1), answered inside the component: rules have no files, no environment, no
;; clock they could trust and no randomness, so a component of ours imports nothing for it and answers the same each time.
;;
;; The clock ticks a microsecond each time it is looked at. Random numbers are the same in every run. Standard output goes to the
;; log line by line, if the guest gave a place for the line that is being written; else nowhere. To exit is a trap.
;;
;; Go's linker imports some functions twice, which a component must not: `Wrap` calls the second of them `name#2`.
(module
  (import "streamalert:plugin/log@0.1.0" "write" (func $log (param $level i32) (param $text i32) (param $bytes i32)))
  (import "env" "memory" (memory 0))

  (global $now (mut i64) (i64.const 0))
  (global $random (mut i64) (i64.const 0x9E3779B97F4A7C15))
  ;; The line being written: its place, the bytes that fit there, the bytes that are there.
  (global $line (mut i32) (i32.const 0))
  (global $room (mut i32) (i32.const 0))
  (global $used (mut i32) (i32.const 0))

  ;; Not of WASI: where the guest lets lines be put together.
  (func (export "streamalert_lines") (param $at i32) (param $bytes i32)
    (global.set $line (local.get $at))
    (global.set $room (local.get $bytes))
    (global.set $used (i32.const 0)))

  ;; Not of WASI: how a guest ends a call that went wrong.
  (func $streamalert_trap (export "streamalert_trap") unreachable)

  (func (export "fd_write") (export "fd_write#2") (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)
    (local $at i32) (local $end i32) (local $sum i32)
    ;; 1 and 2 are standard output and standard error; there are no others (8: EBADF).
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1)) (then (return (i32.const 8))))
    (block $done
      (loop $piece
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $at (i32.load (local.get $pieces)))
        (local.set $end (i32.add (local.get $at) (i32.load offset=4 (local.get $pieces))))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $pieces))))
        (block $all
          (loop $byte
            (br_if $all (i32.eq (local.get $at) (local.get $end)))
            (call $put (local.get $fd) (i32.load8_u (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $byte)))
        (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $piece)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  (func $put (param $fd i32) (param $byte i32)
    (if (i32.eq (local.get $byte) (i32.const 10))
      (then
        (call $clean)
        (if (global.get $used)
          ;; Standard output is level info, 1; standard error is warn, 2.
          (then (call $log (local.get $fd) (global.get $line) (global.get $used))))
        ;; Go's runtime is at its end, and would go on with pages of what it was doing: "fatal error:".
        (if (i32.and (i32.eq (local.get $fd) (i32.const 2)) (i32.gt_u (global.get $used) (i32.const 12)))
          (then
            (if (i32.and
                (i64.eq (i64.load (global.get $line)) (i64.const 0x7265206C61746166))
                (i32.eq (i32.load offset=8 (global.get $line)) (i32.const 0x3A726F72)))
              (then unreachable))))
        (global.set $used (i32.const 0)))
      (else
        ;; What is too long is cut.
        (if (i32.lt_u (global.get $used) (global.get $room))
          (then
            (i32.store8 (i32.add (global.get $line) (global.get $used)) (local.get $byte))
            (global.set $used (i32.add (global.get $used) (i32.const 1))))))))

  ;; Puts a question mark in the place of each byte of the line that is no part of UTF-8: the host takes no other text.
  (func $clean (local $at i32) (local $end i32) (local $first i32) (local $more i32)
    (local.set $at (global.get $line))
    (local.set $end (i32.add (global.get $line) (global.get $used)))
    (block $done
      (loop $char
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $first (i32.load8_u (local.get $at)))
        (if (i32.lt_u (local.get $first) (i32.const 0x80))
          (then (local.set $more (i32.const 1)))
          (else (local.set $more (call $char_bytes (local.get $at) (i32.sub (local.get $end) (local.get $at))))))
        (if (i32.eqz (local.get $more))
          (then
            (i32.store8 (local.get $at) (i32.const 63))
            (local.set $more (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (local.get $more)))
        (br $char))))

  ;; Bytes of the character at $at, which is none of ASCII; 0: it is none at all.
  (func $char_bytes (param $at i32) (param $left i32) (result i32) (local $first i32) (local $second i32) (local $bytes i32)
    (if (i32.lt_u (local.get $left) (i32.const 2)) (then (return (i32.const 0))))
    (local.set $first (i32.load8_u (local.get $at)))
    (local.set $second (i32.load8_u offset=1 (local.get $at)))
    (if (i32.or (i32.lt_u (local.get $first) (i32.const 0xC2)) (i32.gt_u (local.get $first) (i32.const 0xF4)))
      (then (return (i32.const 0))))
    (local.set $bytes (i32.add (i32.const 2)
      (i32.add (i32.ge_u (local.get $first) (i32.const 0xE0)) (i32.ge_u (local.get $first) (i32.const 0xF0)))))
    (if (i32.lt_u (local.get $left) (local.get $bytes)) (then (return (i32.const 0))))
    (if (i32.ne (i32.and (local.get $second) (i32.const 0xC0)) (i32.const 0x80)) (then (return (i32.const 0))))
    ;; Too long for what they say, halves of pairs, beyond the last character.
    (if (i32.and (i32.eq (local.get $first) (i32.const 0xE0)) (i32.lt_u (local.get $second) (i32.const 0xA0)))
      (then (return (i32.const 0))))
    (if (i32.and (i32.eq (local.get $first) (i32.const 0xED)) (i32.gt_u (local.get $second) (i32.const 0x9F)))
      (then (return (i32.const 0))))
    (if (i32.and (i32.eq (local.get $first) (i32.const 0xF0)) (i32.lt_u (local.get $second) (i32.const 0x90)))
      (then (return (i32.const 0))))
    (if (i32.and (i32.eq (local.get $first) (i32.const 0xF4)) (i32.gt_u (local.get $second) (i32.const 0x8F)))
      (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $bytes) (i32.const 2))
      (then
        (if (i32.ne (i32.and (i32.load8_u offset=2 (local.get $at)) (i32.const 0xC0)) (i32.const 0x80))
          (then (return (i32.const 0))))))
    (if (i32.gt_u (local.get $bytes) (i32.const 3))
      (then
        (if (i32.ne (i32.and (i32.load8_u offset=3 (local.get $at)) (i32.const 0xC0)) (i32.const 0x80))
          (then (return (i32.const 0))))))
    (local.get $bytes))

  (func (export "proc_exit") (export "proc_exit#2") (param i32) unreachable)

  (func (export "clock_time_get") (export "clock_time_get#2") (param $id i32) (param $precision i64) (param $to i32) (result i32)
    (global.set $now (i64.add (global.get $now) (i64.const 1000)))
    (i64.store (local.get $to) (global.get $now))
    (i32.const 0))
  (func (export "clock_res_get") (param $id i32) (param $to i32) (result i32)
    (i64.store (local.get $to) (i64.const 1000))
    (i32.const 0))

  ;; Marsaglia's xorshift.
  (func (export "random_get") (export "random_get#2") (param $at i32) (param $bytes i32) (result i32) (local $x i64)
    (block $done
      (loop $byte
        (br_if $done (i32.eqz (local.get $bytes)))
        (local.set $x (global.get $random))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
        (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
        (global.set $random (local.get $x))
        (i64.store8 (local.get $at) (i64.shr_u (local.get $x) (i64.const 32)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $bytes (i32.sub (local.get $bytes) (i32.const 1)))
        (br $byte)))
    (i32.const 0))

  ;; Whatever is waited for has come: the first subscription's event, without an error.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    ;; 28: EINVAL.
    (if (i32.eqz (local.get $count)) (then (return (i32.const 28))))
    (memory.fill (local.get $out) (i32.const 0) (i32.const 32))
    (i64.store (local.get $out) (i64.load (local.get $in)))
    (i32.store8 offset=10 (local.get $out) (i32.load8_u offset=8 (local.get $in)))
    (i32.store (local.get $events) (i32.const 1))
    (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; No arguments. The environment is for Go's runtime: its collector comes before the 64 MiB that the host allows are used up, and a
  ;; stack that grew stays large.
  (func (export "args_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 2))
    (i32.store (local.get $bytes) (i32.const 44))
    (i32.const 0))
  (func (export "environ_get") (param $places i32) (param $bytes i32) (result i32)
    (i32.store (local.get $places) (local.get $bytes))
    (i32.store offset=4 (local.get $places) (i32.add (local.get $bytes) (i32.const 17)))
    (i64.store (local.get $bytes) (i64.const 0x4D494C4D454D4F47))  ;; GOMEMLIM
    (i64.store offset=8 (local.get $bytes) (i64.const 0x42694D38343D5449))  ;; IT=48MiB
    (i64.store offset=16 (local.get $bytes) (i64.const 0x47554245444F4700))  ;; ␀GODEBUG
    (i64.store offset=24 (local.get $bytes) (i64.const 0x6E6972687363673D))  ;; =gcshrin
    (i64.store offset=32 (local.get $bytes) (i64.const 0x666F6B636174736B))  ;; kstackof
    (i32.store offset=40 (local.get $bytes) (i32.const 0x00313D66))  ;; f=1␀
    (i32.const 0))

  ;; Standard input, output and error are character devices; no other file is open (8: EBADF).
  (func (export "fd_fdstat_get") (param $fd i32) (param $to i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (memory.fill (local.get $to) (i32.const 0) (i32.const 24))
    (i32.store8 (local.get $to) (i32.const 2))
    ;; Rights to read (2) or to write (64).
    (i64.store offset=8 (local.get $to) (select (i64.const 64) (i64.const 2) (local.get $fd)))
    (i32.const 0))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 0))
  (func (export "fd_close") (param i32) (result i32) (i32.const 0))
  ;; The end of standard input.
  (func (export "fd_read") (param $fd i32) (param i32 i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  ;; 70: ESPIPE.
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 70))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 70))
  (func (export "path_create_directory") (export "path_create_directory#2") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (export "path_filestat_get#2") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (export "path_filestat_set_times#2") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (export "path_link#2") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (export "path_readlink#2") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_remove_directory") (export "path_remove_directory#2") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_rename") (export "path_rename#2") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_symlink") (export "path_symlink#2") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_unlink_file") (export "path_unlink_file#2") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "proc_raise") (param i32) (result i32) unreachable)
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
)
