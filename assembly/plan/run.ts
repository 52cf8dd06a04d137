// Runs a plan: the loop over its records and the barriers where threads meet. Every thread goes through the records of a
// segment and takes its share of each from the record's counter. What a share computes does not depend on who computes it.
import {
  CONTROL_FIRST,
  CONTROL_LAST,
  CONTROL_N_THREADS,
  STATUS_BAD_RECORD,
  STATUS_OK,
  STEP_N_TOKENS,
} from "../layout/control";
import * as op from "../layout/ops";
import { counter, int } from "../record";
import {
  CLOSED,
  CLOSED_STALLED,
  close_segment,
  enter_pool,
  enter_segment,
  leave_segment,
  open_segment,
  segments,
  step_status,
  stop_step,
  wait_segment,
} from "../sync";
import { run_add } from "./ops/add";
import { run_angles } from "./ops/angles";
import { run_attention } from "./ops/attention";
import { run_conv } from "./ops/conv";
import { run_copy } from "./ops/copy";
import { run_delta } from "./ops/delta";
import { run_embed } from "./ops/embed";
import { experts_patience, run_combine, run_experts } from "./ops/experts";
import { run_glu } from "./ops/glu";
import { run_map } from "./ops/map";
import { patience, run_matmul } from "./ops/matmul";
import { run_norm } from "./ops/norm";
import { run_norm_rows } from "./ops/norm_rows";
import { run_pack } from "./ops/pack";
import { run_quantize } from "./ops/quantize";
import { run_rope_store } from "./ops/rope";
import { run_route } from "./ops/route";

// Works on the records [record, stop) of one segment until no work is left. Returns STATUS_OK, or why the step stopped.
function run_segment(record: usize, stop: usize, scratch: usize): i32 {
  for (; record < stop; record += op.RECORD_BYTES) {
    const status = step_status();
    if (status !== STATUS_OK) return status;
    if (is_left_out(record)) continue;
    switch (int(record, op.REC_OP)) {
      case op.OP_EMBED:
        run_embed(record);
        break;
      case op.OP_NORM:
        run_norm(record, scratch);
        break;
      case op.OP_QUANTIZE:
        run_quantize(record);
        break;
      case op.OP_MATMUL:
        run_matmul(record, scratch);
        break;
      case op.OP_ANGLES:
        run_angles(record);
        break;
      case op.OP_ROPE_STORE:
        run_rope_store(record);
        break;
      case op.OP_ATTENTION:
        run_attention(record, scratch);
        break;
      case op.OP_GLU:
        run_glu(record, scratch);
        break;
      case op.OP_PACK:
        run_pack(record, scratch);
        break;
      case op.OP_ROUTE:
        run_route(record, scratch);
        break;
      case op.OP_EXPERTS:
        run_experts(record, scratch);
        break;
      case op.OP_COMBINE:
        run_combine(record, scratch);
        break;
      case op.OP_ADD:
        run_add(record);
        break;
      case op.OP_NORM_ROWS:
        run_norm_rows(record);
        break;
      case op.OP_COPY:
        run_copy(record);
        break;
      case op.OP_MAP:
        run_map(record);
        break;
      case op.OP_CONV:
        run_conv(record, scratch);
        break;
      case op.OP_DELTA:
        run_delta(record, scratch);
        break;
      default:
        stop_step(STATUS_BAD_RECORD);
        return STATUS_BAD_RECORD;
    }
  }
  return STATUS_OK;
}

// Whether steps of so many tokens do without a record.
function is_left_out(record: usize): bool {
  const flags = int(record, op.REC_FLAGS) & (op.REC_SEVERAL | op.REC_ALONE);
  if (!flags) return false;
  return (flags === op.REC_SEVERAL) === (load<i32>(STEP_N_TOKENS) === 1);
}

// After so many sleeps of the host's thread in one run, its helpers are taken to cost more than they save.
const MOST_SLEEPS: i32 = 4;

/**
 * Runs records [begin, end) of a plan over the step that the control words describe (layout/control.ts). Threads in
 * work() that take part help. Called by the host's thread.
 * plan     records of layout/ops.ts, counters (REC_COUNTER) zero; they are zero again afterwards
 * scratch  16 B aligned; as large as the widest row and attention_scratch_bytes() need
 * CONTROL_N_THREADS  how many threads take part. It becomes lower if waiting for one of them was not worth it
 * The last record of a range must have a barrier.
 * Returns STATUS_OK, or why the step stopped; its results are then worthless
 */
export function run_step(plan: usize, begin: i32, end: i32, scratch: usize): i32 {
  let threads = load<i32>(CONTROL_N_THREADS);
  let sleeps = 0;
  let first = plan + <usize>begin * op.RECORD_BYTES;
  const stop = plan + <usize>end * op.RECORD_BYTES;
  while (first < stop) {
    let last = first;
    while (!(int(last, op.REC_FLAGS) & op.REC_BARRIER)) last += op.RECORD_BYTES;
    const next = last + op.RECORD_BYTES;
    if (first === last && is_left_out(first)) {
      first = next;
      continue;
    }
    let status: i32;
    if (threads > 1) {
      open_segment(first, next);
      status = run_segment(first, next, scratch);
      const code = int(last, op.REC_OP);
      const isExperts = code === op.OP_EXPERTS || code === op.OP_COMBINE;
      const closed = close_segment(isExperts ? experts_patience(last) : patience(last));
      // A chunk of attention grows with the context, and one of these with the step. They are worth waiting for.
      const isLong = code === op.OP_ATTENTION || code === op.OP_CONV || code === op.OP_DELTA;
      if (closed !== CLOSED && !isLong) {
        sleeps++;
        if (closed === CLOSED_STALLED || sleeps === MOST_SLEEPS) {
          sleeps = 0;
          threads >>= 1;
          store<i32>(CONTROL_N_THREADS, threads);
        }
      }
    } else {
      status = run_segment(first, next, scratch);
    }
    if (status === STATUS_OK) status = step_status();
    if (status !== STATUS_OK) return status;
    // No thread takes work from these counters any more.
    for (; first < next; first += op.RECORD_BYTES) store<i32>(counter(first), 0);
  }
  return STATUS_OK;
}

/**
 * Opens record `begin`, a segment of its own, for the other threads. run_step() must be next: it does what is left.
 * Called by the host's thread if CONTROL_N_THREADS is more than 1. It can do something else in between.
 */
export function open_step(plan: usize, begin: i32): void {
  const record = plan + <usize>begin * op.RECORD_BYTES;
  open_segment(record, record + op.RECORD_BYTES);
}

/**
 * Helps with every segment that this thread takes part in, and sleeps in between, until CONTROL_SHUTDOWN is set.
 * scratch  this thread's own, as for run_step()
 */
export function work(scratch: usize): void {
  const index = enter_pool();
  let seen = segments();
  while (wait_segment(seen, index)) {
    // Read before entering: a segment that begins after this is never missed.
    seen = segments();
    if (!enter_segment()) continue;
    run_segment(<usize>load<u32>(CONTROL_FIRST), <usize>load<u32>(CONTROL_LAST), scratch);
    leave_segment();
  }
}
