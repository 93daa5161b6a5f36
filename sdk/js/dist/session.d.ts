import type { Device } from "./device.js";
import { type Answer } from "./mqtt.js";
/** A DISCONNECT of the server, or a CONNACK that names another one. */
export declare class DisconnectError extends Error {
    readonly answer: Answer;
    readonly name = "DisconnectError";
    constructor(answer: Answer);
}
/** The identity of the connection is gone. */
export declare class ResetError extends Error {
    readonly name = "ResetError";
}
/** One connection from its CONNECT to its end. */
export declare class Session {
    private readonly d;
    private readonly registrationID;
    private channel;
    private readonly reader;
    private accepted;
    private over;
    private began;
    private heard;
    private nextID;
    private due;
    private token;
    private readonly ups;
    private readonly queue;
    private working;
    private timer;
    private pings;
    private limit;
    private finish;
    constructor(d: Device, registrationID: string);
    /** Connects and serves the connection until it ends. lasted, milliseconds, is 0 if the server did not accept it. */
    run(address: string): Promise<{
        lasted: number;
        why: Error;
    }>;
    /** Ends the connection; the first reason counts. */
    fail(why: Error): void;
    /** Says good-bye and ends the connection. */
    leave(): void;
    private send;
    private greet;
    private received;
    private take;
    private answered;
    private keepAlive;
    /** Handles messages one after another. */
    private work;
    private handle;
    /** Sends what may be sent now. */
    sendDue(): void;
    /** Takes the next of a kind into flight; a number says how many milliseconds until there may be one. */
    private next;
    private acknowledged;
    /** Makes a profile that was refused wait again, member by member; false if it has only one. */
    private sendApart;
    /** Ends the flight of a kind: what is final is forgotten, the rest waits again. */
    private landed;
}
