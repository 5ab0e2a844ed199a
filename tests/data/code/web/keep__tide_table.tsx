import { useEffect, useMemo, useState } from 'react';

type Tide = { at: string; height: number; kind: 'high' | 'low' };

interface Props {
  harbour: string;
  days?: number;
  onPick?: (tide: Tide) => void;
}

function useTides(harbour: string, days: number) {
  const [tides, setTides] = useState<Tide[]>([]);
  const [problem, setProblem] = useState<string | null>(null);

  useEffect(() => {
    const controller = new AbortController();
    setProblem(null);
    fetch(`/api/tides/${encodeURIComponent(harbour)}?days=${days}`, { signal: controller.signal })
      .then((answer) => {
        if (!answer.ok) throw new Error(`the harbour office answered ${answer.status}`);
        return answer.json() as Promise<Tide[]>;
      })
      .then(setTides)
      .catch((error: Error) => {
        if (error.name !== 'AbortError') setProblem(error.message);
      });
    return () => controller.abort();
  }, [harbour, days]);

  return { tides, problem };
}

export function TideTable({ harbour, days = 3, onPick }: Props) {
  const { tides, problem } = useTides(harbour, days);
  const byDay = useMemo(() => {
    const groups = new Map<string, Tide[]>();
    for (const tide of tides) {
      const day = tide.at.slice(0, 10);
      groups.set(day, [...(groups.get(day) ?? []), tide]);
    }
    return [...groups.entries()].sort(([a], [b]) => a.localeCompare(b));
  }, [tides]);

  if (problem) return <p role="alert">No tides for {harbour}: {problem}</p>;
  return (
    <section aria-label={`Tides at ${harbour}`}>
      {byDay.map(([day, rows]) => (
        <table key={day}>
          <caption>{day}</caption>
          <tbody>
            {rows.map((tide) => (
              <tr key={tide.at} className={tide.kind} onClick={() => onPick?.(tide)}>
                <td>{tide.at.slice(11, 16)}</td>
                <td>{tide.height.toFixed(1)} m</td>
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </section>
  );
}
