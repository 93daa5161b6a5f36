/** Speaks MQTT over WebSocket. */
export class WebSocketTransport {
    constructor(socket) {
        this.socket = socket;
        this.schemes = ["ws", "wss"];
    }
    open(address, events) {
        const ws = new this.socket(address, "mqtt");
        ws.binaryType = "arraybuffer";
        let over = false;
        const close = (why) => {
            if (over)
                return;
            over = true;
            events.closed(new Error(why));
        };
        ws.onopen = () => events.opened();
        ws.onmessage = (e) => {
            if (!over && e.data instanceof ArrayBuffer)
                events.received(new Uint8Array(e.data));
        };
        ws.onerror = () => close("the WebSocket failed");
        ws.onclose = (e) => close(`the WebSocket was closed: ${e.code} ${e.reason}`.trim());
        return {
            send: (bytes) => ws.send(bytes),
            close: () => {
                ws.close();
                close("closed");
            },
        };
    }
}
