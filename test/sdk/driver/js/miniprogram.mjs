// The driver of the JavaScript SDK as a mini-program has it: its bundle, and an object with the platform's API, here made of
// what Node.js has. Argument: the folder of the built SDK.
import { createInterface } from "node:readline";
import { request } from "node:http";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { commands } from "./commands.mjs";

// Loaded as a mini-program does it, without what its JavaScript engine does not have.
const module = { exports: {} };
const absent = ["TextEncoder", "TextDecoder", "btoa", "atob", "URL", "AbortController", "fetch", "crypto", "structuredClone", "process", "Buffer", "WebSocket"];
new Function("module", "exports", ...absent, readFileSync(`${process.argv[2]}/bundle/miniprogram.js`, "utf8"))(module, module.exports);
const { openDevice, backoff } = module.exports;

const later = (f, ...args) => setTimeout(() => f?.(...args));

function platform(storage) {
  const file = (key) => `${storage}/${encodeURIComponent(key)}`;
  mkdirSync(storage, { recursive: true });
  return {
    connectSocket({ url, protocols }) {
      const ws = new WebSocket(url, protocols);
      ws.binaryType = "arraybuffer";
      return {
        onOpen: (f) => ws.addEventListener("open", () => f({ header: {} })),
        onMessage: (f) => ws.addEventListener("message", (e) => f({ data: e.data })),
        onError: (f) => ws.addEventListener("error", () => f({ errMsg: "connectSocket:fail" })),
        onClose: (f) => ws.addEventListener("close", (e) => f({ code: e.code, reason: e.reason })),
        send: ({ data }) => ws.send(data),
        close: () => ws.close(),
      };
    },
    request({ url, method, header, data, success, fail }) {
      const call = request(url, { method, headers: header, agent: false }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk) => (text += chunk));
        answer.on("end", () => success({ statusCode: answer.statusCode, data: text, header: answer.headers }));
        answer.on("error", (error) => fail({ errMsg: String(error) }));
      });
      call.on("error", (error) => fail({ errMsg: String(error) }));
      call.end(data);
    },
    getStorage({ key, success, fail }) {
      let data;
      try {
        data = readFileSync(file(key), "utf8");
      } catch {
        return later(fail, { errMsg: "getStorage:fail data not found" });
      }
      later(success, { data });
    },
    setStorage({ key, data, success }) {
      writeFileSync(file(key), data);
      later(success);
    },
    removeStorage({ key, complete }) {
      rmSync(file(key), { force: true });
      later(complete);
    },
  };
}

const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const driver = commands((options, c) => openDevice(platform(c.storage), options), backoff, print);

for await (const line of createInterface({ input: process.stdin })) void driver.answer(JSON.parse(line));
await driver.device()?.stop();
process.exit(); // the WebSocket of Node.js may keep it alive until the peer has closed
