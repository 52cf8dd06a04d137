// Where to listen, and what listens.

/** Answers requests; `info` is what the runtime hands over beside them. */
export type Fetch = (request: Request, info: unknown) => Promise<Response>;

/** Where to listen. */
export interface Address {
  readonly hostname: string;
  /** 0 for one that is free. */
  readonly port: number;
}

/** What listens. */
export interface Listener {
  readonly port: number;
  /** Takes no new connections and closes those that there are. */
  stop(): Promise<void>;
}

/** Seconds after which a connection on which nothing happens is closed. */
export const IDLE_SECONDS = 120;
