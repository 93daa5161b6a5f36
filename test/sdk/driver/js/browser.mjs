// The driver of the JavaScript SDK in Chromium. Arguments: the folder of the SDK, built and with its packages, and the
// browser. One process serves all scenarios: each has a profile of its own, each life a page of its own.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const [, , sdk, executablePath] = process.argv;
const require = createRequire(`${sdk}/package.json`);
const { chromium } = require("playwright-core");
const { build } = require("esbuild");

const bundle = await build({
  entryPoints: [fileURLToPath(new URL("page.mjs", import.meta.url))],
  alias: { "@borealis/device/browser": `${sdk}/dist/browser/index.js` },
  bundle: true,
  format: "esm",
  write: false,
});
const files = {
  "/": ["text/html", "<!doctype html><meta charset=utf-8><title>device</title><link rel=icon href=data:,><script type=module src=/page.js></script>"],
  "/page.js": ["text/javascript", bundle.outputFiles[0].text],
  "/worker.js": ["text/javascript", await readFile(`${sdk}/dist/bundle/worker.js`, "utf8")],
};
const site = createServer((q, a) => {
  const [type, text] = files[q.url] ?? ["text/plain", "nothing"];
  a.writeHead(files[q.url] ? 200 : 404, { "Content-Type": type });
  a.end(text);
});
await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${site.address().port}`;

const browser = await chromium.launch({
  executablePath,
  headless: true,
  handleSIGINT: false,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

let context; // of the scenario
let page; // of the life
let cdp; // of a page that stays, to reach the service worker without a page of the site

const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

async function openPage() {
  if (!context) {
    context = await browser.newContext({ timezoneId: "UTC" });
    await context.grantPermissions(["notifications"], { origin });
    await context.exposeBinding("print", (source, line) => {
      if (source.page === page) process.stdout.write(line + "\n");
    });
  }
  page = await context.newPage();
  page.on("pageerror", (error) => console.error("page:", error));
  await page.goto(origin + "/");
  await page.waitForFunction(() => window.answer !== undefined);
}

async function closePage() {
  const old = page;
  page = undefined;
  await old?.close({ runBeforeUnload: false });
}

/** The service worker, which may have to be awaited. */
async function worker() {
  return context.serviceWorkers().find((w) => w.url().startsWith(origin)) ?? (await context.waitForEvent("serviceworker"));
}

/** Delivers a message to the service worker as the browser's push service would. */
async function push(c) {
  if (!cdp) {
    cdp = await context.newCDPSession(await context.newPage());
    cdp.registrations = new Map();
    cdp.on("ServiceWorker.workerRegistrationUpdated", (e) => {
      for (const r of e.registrations) if (!r.isDeleted) cdp.registrations.set(r.scopeURL, r.registrationId);
    });
    await cdp.send("ServiceWorker.enable");
  }
  for (let tries = 0; !cdp.registrations.has(origin + "/"); tries++) {
    if (tries > 200) throw new Error("the service worker is not registered");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const data = c.text ?? JSON.stringify(c.payload);
  await cdp.send("ServiceWorker.deliverPushMessage", { origin, registrationId: cdp.registrations.get(origin + "/"), data });
}

const words = {
  configure: async (c) => {
    await openPage();
    forward(c);
  },
  kill: closePage,
  leave: closePage, // and nobody opens another before the next configure
  close: async () => {
    await closePage();
    await context?.close();
    context = cdp = undefined;
  },
  push,
  // The notifications there are, ordered by id, when they are those.
  notifications: async (c) => {
    const w = await worker();
    for (let tries = 0; ; tries++) {
      const list = await w.evaluate(async () => (await self.registration.getNotifications()).map((n) => ({ id: n.data?.borealis?.id, title: n.title, body: n.body, tag: n.tag, silent: n.silent })));
      list.sort((a, b) => (a.id < b.id ? -1 : 1));
      if (JSON.stringify(list.map((n) => n.id)) === JSON.stringify(c.ids.toSorted())) return { list };
      if (tries > 500) throw new Error(`the notifications are ${JSON.stringify(list)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  },
  // A person clicks or closes a notification: no browser lets a program do it, so the event is made by hand.
  touch: async (c) => {
    const w = await worker();
    await w.evaluate(
      async ([id, type]) => {
        const n = (await self.registration.getNotifications()).find((n) => n.data?.borealis?.id === id);
        if (!n) throw new Error("there is no such notification");
        const e = new NotificationEvent(type, { notification: n });
        const work = [];
        Object.defineProperty(e, "waitUntil", { value: (p) => work.push(p) });
        self.dispatchEvent(e);
        await Promise.all(work);
      },
      [c.id, c.type],
    );
  },
};

/** Gives a command to the page, which answers itself. */
function forward(c) {
  page.evaluate((c) => void window.answer(c), c).catch((error) => print({ n: c.n, failed: String(error) }));
}

for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line);
  if (!words[c.do]) {
    forward(c);
    continue;
  }
  try {
    const more = await words[c.do](c);
    if (c.do !== "configure") print({ n: c.n, ...more });
  } catch (error) {
    print({ n: c.n, failed: String(error) });
  }
}
await browser.close();
site.close();
