// How the hub is spoken to: where it is, who asks, where files are kept, and for how long it is waited for.

/** How the hub is spoken to; what is not given is read from the environment, as Hugging Face's own library does. */
export interface HubOptions {
  /** A branch, a tag or a commit. Default `main`. */
  readonly revision?: string | undefined;
  /** The hub's address. Default: `HF_ENDPOINT`, else the public hub's. */
  readonly endpoint?: string | undefined;
  /** Default: `HF_TOKEN`, else the content of the file `HF_TOKEN_PATH`, else of `token` in `HF_HOME`. An empty one is none. */
  readonly token?: string | undefined;
  /** Default: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, which is by default `~/.cache/huggingface`. */
  readonly cacheFolder?: string | undefined;
  /** Whether to use the cache alone. Default: what `HF_HUB_OFFLINE` says. */
  readonly offline?: boolean | undefined;
  /** Ends a download; what there is of it stays for the next time. */
  readonly signal?: AbortSignal | undefined;
  /** Told how far a download is, at most ten times a second; must not throw. */
  readonly onProgress?: ((event: DownloadEvent) => void) | undefined;
  /** How long to wait, and how often to try again. */
  readonly patience?: Partial<Patience> | undefined;
}

/** How far the download of a file is. */
export interface DownloadEvent {
  readonly type: "download";
  /** The repository's name. */
  readonly repository: string;
  readonly path: string;
  /** Bytes that are on the disk. */
  readonly done: number;
  /** Bytes of the whole file; null when the hub does not say. */
  readonly total: number | null;
}

/** How far the upload of a file is. */
export interface UploadEvent extends Omit<DownloadEvent, "type"> {
  readonly type: "upload";
}

/** How long is waited for the hub. */
export interface Patience {
  /** Times that something is tried in a row without a byte coming. Default 5. */
  readonly attempts: number;
  /** Milliseconds before the second attempt; each later pause is twice as long. Default 500. */
  readonly firstPause: number;
  /** The longest wait, in milliseconds, that a server may ask for with Retry-After. Default 60 000. */
  readonly longestPause: number;
  /** Milliseconds without a byte after which a connection counts as dead. Default 30 000. */
  readonly idle: number;
}
