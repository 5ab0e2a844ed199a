using System;
using System.Collections.Concurrent;
using System.Threading;
using System.Threading.Tasks;

namespace Example.Throttling
{
    /// <summary>A token bucket per caller: a steady rate with room for short bursts.</summary>
    public sealed class RateLimiter
    {
        private sealed class Bucket
        {
            public double Tokens;
            public long Stamp;
        }

        private readonly ConcurrentDictionary<string, Bucket> _buckets = new();
        private readonly double _perSecond;
        private readonly double _burst;
        private readonly Func<long> _milliseconds;

        public RateLimiter(double perSecond, double burst, Func<long>? milliseconds = null)
        {
            if (perSecond <= 0) throw new ArgumentOutOfRangeException(nameof(perSecond));
            if (burst < 1) throw new ArgumentOutOfRangeException(nameof(burst));
            _perSecond = perSecond;
            _burst = burst;
            _milliseconds = milliseconds ?? (() => Environment.TickCount64);
        }

        public bool TryAcquire(string caller, out TimeSpan retryAfter)
        {
            var bucket = _buckets.GetOrAdd(caller, _ => new Bucket { Tokens = _burst, Stamp = _milliseconds() });
            lock (bucket)
            {
                var now = _milliseconds();
                var earned = (now - bucket.Stamp) / 1000.0 * _perSecond;
                bucket.Tokens = Math.Min(_burst, bucket.Tokens + earned);
                bucket.Stamp = now;
                if (bucket.Tokens >= 1)
                {
                    bucket.Tokens -= 1;
                    retryAfter = TimeSpan.Zero;
                    return true;
                }
                retryAfter = TimeSpan.FromSeconds((1 - bucket.Tokens) / _perSecond);
                return false;
            }
        }

        public async Task AcquireAsync(string caller, CancellationToken cancellation = default)
        {
            while (!TryAcquire(caller, out var wait))
            {
                await Task.Delay(wait, cancellation).ConfigureAwait(false);
            }
        }

        /// <summary>Forgets callers whose bucket has been full for a while.</summary>
        public int Sweep(TimeSpan idle)
        {
            var removed = 0;
            var limit = _milliseconds() - (long)idle.TotalMilliseconds;
            foreach (var (caller, bucket) in _buckets)
            {
                if (bucket.Stamp < limit && _buckets.TryRemove(caller, out _)) removed++;
            }
            return removed;
        }
    }
}
