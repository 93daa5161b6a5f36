export declare const packetType: {
    readonly connect: 1;
    readonly connack: 2;
    readonly publish: 3;
    readonly puback: 4;
    readonly pingreq: 12;
    readonly pingresp: 13;
    readonly disconnect: 14;
};
export declare const code: {
    readonly identifierInvalid: 133;
    readonly badCredentials: 134;
    readonly notAuthorized: 135;
    readonly takenOver: 142;
    readonly quota: 151;
    readonly invalidPayload: 153;
    readonly useAnotherServer: 156;
    readonly serverMoved: 157;
};
export declare const receiveMaximum = 32;
/** Bytes that are not MQTT. */
export declare class MalformedError extends Error {
    readonly name = "MalformedError";
}
export interface Packet {
    type: number;
    flags: number;
    body: Uint8Array;
}
/** Cuts packets off a stream of bytes. */
export declare class PacketReader {
    private buffer;
    /** The packets that are whole now. Throws MalformedError. */
    push(bytes: Uint8Array): Packet[];
    private next;
}
/** Asks for a connection; keepAlive in seconds. */
export declare function connectPacket(clientID: string, user: string, password: string, keepAlive: number): Uint8Array;
export declare function publishPacket(topic: string, id: number, payload: string): Uint8Array;
export declare const pubackPacket: (id: number) => Uint8Array;
export declare const pingPacket: () => Uint8Array;
export declare const disconnectPacket: () => Uint8Array;
/** The properties a device looks at. */
export interface Properties {
    /** Seconds. */
    keepAlive?: number;
    reference?: string;
    reason?: string;
    user: Record<string, string>;
}
/** A CONNACK, a PUBACK or a DISCONNECT. */
export interface Answer extends Properties {
    /** Of a PUBACK; 0 otherwise. */
    id: number;
    code: number;
}
export declare function parseAnswer(p: Packet): Answer;
export interface Publish {
    topic: string;
    /** 0 at QoS 0. */
    id: number;
    payload: Uint8Array;
}
export declare function parsePublish(p: Packet): Publish;
