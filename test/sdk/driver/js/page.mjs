// The half of the browser's driver that runs in the page.
import * as sdk from "@borealis/device/browser";
import { commands } from "./commands.mjs";

const driver = commands(
  async (options) => {
    await navigator.serviceWorker.register("/worker.js");
    await navigator.serviceWorker.ready;
    return sdk.openDevice({ ...options, device: { timezone: "UTC" } });
  },
  sdk.backoff,
  (line) => window.print(JSON.stringify(line)),
);

// There is no push service in a test: what it would give is given here, all else is the browser's.
function withoutPushService(work) {
  const real = PushManager.prototype.subscribe;
  const asked = [];
  PushManager.prototype.subscribe = async function (o) {
    asked.push(o);
    const subscription = { endpoint: "https://push.example.com/s/1", keys: { p256dh: "BPub", auth: "c2VjcmV0" } };
    return { ...subscription, toJSON: () => ({ ...subscription, expirationTime: null }) };
  };
  return work(asked).finally(() => (PushManager.prototype.subscribe = real));
}

window.answer = (c) =>
  driver.answer(c, {
    subscribe: (c) =>
      withoutPushService(async (asked) => {
        await sdk.subscribe(driver.device(), await navigator.serviceWorker.ready, c.token);
        return { visible_only: asked[0]?.userVisibleOnly, key: asked[0]?.applicationServerKey };
      }),
    unsubscribe: async () => sdk.unsubscribe(driver.device(), await navigator.serviceWorker.ready),
    show: async (c) => sdk.show(await navigator.serviceWorker.ready, { id: c.id, type: "notification", alert: "shown by the page", silent: false }),
  });
