/** Typed events between the widgets of a page. A topic is declared once, with the shape of its message. */

export interface Topics {
  'cart/changed': { lines: number; total: number };
  'user/signed-in': { id: string; name: string };
  'user/signed-out': undefined;
  'network/failed': { url: string; status: number; retryAfter?: number };
}

export type Topic = keyof Topics;
export type Handler<T extends Topic> = (message: Topics[T]) => void | Promise<void>;

interface Subscription<T extends Topic> {
  readonly topic: T;
  readonly handler: Handler<T>;
  readonly once: boolean;
}

export class EventBus {
  private readonly subscriptions = new Map<Topic, Set<Subscription<Topic>>>();
  private readonly onError: (error: unknown, topic: Topic) => void;

  constructor(onError: (error: unknown, topic: Topic) => void = (e, t) => console.error(t, e)) {
    this.onError = onError;
  }

  on<T extends Topic>(topic: T, handler: Handler<T>): () => void {
    return this.add({ topic, handler, once: false });
  }

  once<T extends Topic>(topic: T, handler: Handler<T>): () => void {
    return this.add({ topic, handler, once: true });
  }

  /** Resolves with the next message of a topic, or rejects after `timeoutMs`. */
  next<T extends Topic>(topic: T, timeoutMs = 5_000): Promise<Topics[T]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        off();
        reject(new Error(`no message on ${topic} within ${timeoutMs} ms`));
      }, timeoutMs);
      const off = this.once(topic, (message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });
  }

  async publish<T extends Topic>(topic: T, message: Topics[T]): Promise<number> {
    const found = [...(this.subscriptions.get(topic) ?? [])] as unknown as Subscription<T>[];
    for (const subscription of found) {
      if (subscription.once) this.remove(subscription);
      try {
        await subscription.handler(message);
      } catch (error: unknown) {
        this.onError(error, topic);
      }
    }
    return found.length;
  }

  private add<T extends Topic>(subscription: Subscription<T>): () => void {
    const set = this.subscriptions.get(subscription.topic) ?? new Set();
    set.add(subscription as unknown as Subscription<Topic>);
    this.subscriptions.set(subscription.topic, set);
    return () => this.remove(subscription);
  }

  private remove<T extends Topic>(subscription: Subscription<T>): void {
    this.subscriptions.get(subscription.topic)?.delete(subscription as unknown as Subscription<Topic>);
  }
}
