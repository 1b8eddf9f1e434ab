/** Of work that may never end. */
export interface Bounds {
  /** What it is the work of, for messages. */
  readonly origin: string;
  readonly milliseconds: number;
  readonly remedy: string;
  /**
   * Ctrl-C ends it at once where somebody listens, and comes to them. A signal that came just before may be lost (Node
   * takes its listeners away meanwhile), so that this is for long work alone.
   */
  readonly interruptible?: boolean;
}
