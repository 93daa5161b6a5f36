// The driver of the JavaScript SDK in Node.js. Argument: the folder of the built SDK.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { commands } from "./commands.mjs";

const { openDevice, FileStorage, backoff } = await import(pathToFileURL(`${process.argv[2]}/node/index.js`));
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const driver = commands(async (options, c) => openDevice({ ...options, storage: await FileStorage.open(c.storage) }), backoff, print);

// Commands are answered when they are done; the next may come before.
for await (const line of createInterface({ input: process.stdin })) void driver.answer(JSON.parse(line));
await driver.device()?.stop();
// The process ends by itself: if it does not, the SDK has left something open.
