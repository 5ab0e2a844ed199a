import Foundation

/// Lets an action through at most once per interval and remembers the last call that had to wait.
public actor Throttle<Value: Sendable> {
    public typealias Action = @Sendable (Value) async -> Void

    private let interval: Duration
    private let clock: ContinuousClock
    private let action: Action
    private var lastFired: ContinuousClock.Instant?
    private var pending: Value?
    private var waiter: Task<Void, Never>?

    public init(interval: Duration, clock: ContinuousClock = .init(), action: @escaping Action) {
        precondition(interval > .zero, "an interval must be positive")
        self.interval = interval
        self.clock = clock
        self.action = action
    }

    public func send(_ value: Value) async {
        let now = clock.now
        guard let last = lastFired, last.advanced(by: interval) > now else {
            lastFired = now
            pending = nil
            await action(value)
            return
        }
        pending = value
        if waiter == nil {
            waiter = Task { [clock] in
                try? await clock.sleep(until: last.advanced(by: interval))
                await self.flush()
            }
        }
    }

    public func cancel() {
        waiter?.cancel()
        waiter = nil
        pending = nil
    }

    private func flush() async {
        waiter = nil
        guard let value = pending, !Task.isCancelled else { return }
        pending = nil
        lastFired = clock.now
        await action(value)
    }
}

extension Throttle where Value == Void {
    public func send() async {
        await send(())
    }
}
