// A second thread that reads memory, for `readBandwidthOfTwo` in machine.ts.
import { parentPort } from "node:worker_threads";
import { Bandwidth } from "./machine.ts";

const bandwidth = new Bandwidth();
parentPort?.on("message", (times: number) => {
  parentPort?.postMessage(Array.from({ length: times }, () => bandwidth.readBandwidth()));
});
parentPort?.postMessage("ready");
