// The commands of the scenarios for the JavaScript SDK, in Node.js and in pages alike.

/** Answers commands; open(options, command) opens the device, print(line) writes a line. */
export function commands(open, backoff, print) {
  let device;
  let mode = "ok";
  let held = [];

  async function onMessage(m) {
    print({ event: "message", ...m });
    if (mode === "hold") await new Promise((resolve) => held.push(resolve));
    if (mode === "fail") throw new Error("the handler was told to fail");
  }

  function onEvent({ kind, ...e }) {
    if (kind === "registered") print({ event: kind, registration_id: e.registrationID });
    else if (kind === "error") print({ event: kind, why: String(e.error?.message) });
    else print({ event: kind, ...e });
  }

  const words = {
    configure: async (c) => {
      device = await open(
        {
          server: c.server,
          appKey: c.app_key,
          platform: c.platform,
          transport: c.transport,
          scale: c.scale,
          now: () => Date.now() + (c.clock_offset_ms ?? 0),
          onMessage,
          onWithdraw: (id) => print({ event: "withdrawn", id }),
          onEvent,
        },
        c,
      );
    },
    consent: (c) => device.consent(c.version, c.purposes),
    start: () => device.start(),
    stop: () => device.stop(),
    end: () => device.end(),
    setTags: (c) => device.setTags(c.tags),
    addTags: (c) => device.addTags(c.tags),
    removeTags: (c) => device.removeTags(c.tags),
    setAlias: (c) => device.setAlias(c.alias),
    setAttributes: (c) => device.setAttributes(c.attributes),
    setTimezone: (c) => device.setTimezone(c.timezone),
    putToken: (c) => device.putToken({ channel: c.channel, token: c.token, environment: c.environment }),
    setSilence: (c) => device.setSilence(c.from ? { from: c.from, to: c.to } : null),
    setPushEnabled: (c) => device.setPushEnabled(c.enabled),
    displayed: (c) => device.displayed(c.id),
    clicked: (c) => device.clicked(c.id),
    dismissed: (c) => device.dismissed(c.id),
    handler: (c) => {
      mode = c.mode;
      if (mode !== "hold") for (const release of held.splice(0)) release();
    },
    backoff: (c) => ({ ms: backoff(c.failures, c.random, c.retry_after_ms) }),
  };

  return {
    device: () => device,
    async answer(c, more = {}) {
      const line = { n: c.n };
      try {
        const word = more[c.do] ?? words[c.do];
        if (!word) throw new Error(`no command ${c.do}`);
        Object.assign(line, await word(c));
      } catch (error) {
        line.failed = String(error?.message ?? error);
      }
      print(line);
    },
  };
}
