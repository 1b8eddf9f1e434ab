import { useMemo, useState } from 'preact/hooks';
import { count } from '../format.ts';
import type { Look, Playground } from '../playground.ts';
import { colour, ramp } from '../selection/colour.ts';
import { describe, format, openness, position, quoted, ranges, type Scale, visible } from '../selection/summary.ts';
import { HeatMap } from './heat-map.tsx';
import { useTheme } from './use-theme.ts';

/** Shows delta of each token in each layer. */
export function SelectionPanel({ playground }: { readonly playground: Playground }) {
  const { watching, look, looking } = playground;
  return (
    <section class="panel selection" aria-labelledby="selection-heading" aria-busy={looking}>
      <div class="heading">
        <h2 id="selection-heading">The selection at work</h2>
        <label class="switch">
          <input
            type="checkbox"
            checked={watching}
            onChange={(event) => playground.watch(event.currentTarget.checked)}
          />
          <span>Watch</span>
        </label>
      </div>
      <p class="lead">
        For each token, each layer chooses a step size <var>Δ</var>. A large one lets the token in and forgets what was
        before; a small one passes over it and keeps the state. Shown is the mean over a layer’s channels.
      </p>
      {look !== undefined ? (
        <Shown look={look} />
      ) : (
        <p class="hint">{!watching ? 'Not watching.' : looking ? 'Computing …' : 'There is no text yet.'}</p>
      )}
    </section>
  );
}

function Shown({ look: { map, labels, skipped } }: { readonly look: Look }) {
  const theme = useTheme();
  const [scale, setScale] = useState<Scale>('layer');
  const [chosenLayer, setLayer] = useState(-1);
  const [chosenToken, setToken] = useState(Number.POSITIVE_INFINITY);
  const token = Math.min(chosenToken, map.tokens - 1);
  const layer = Math.min(chosenLayer, map.layers.length - 1);
  const spans = useMemo(() => ranges(map, scale), [map, scale]);
  const description = useMemo(() => describe(map, labels), [map, labels]);
  const shades = useMemo(
    () => (layer < 0 ? openness(map) : Array.from(map.layers[layer]!, (value) => position(value, spans[layer]!))),
    [map, layer, spans],
  );
  const where = layer < 0 ? 'all layers' : `layer ${layer + 1}`;
  const choose = (nextToken: number, nextLayer: number): void => {
    setToken(nextToken);
    setLayer(nextLayer);
  };

  return (
    <>
      {skipped > 0 && (
        <p class="hint">
          The last {count(map.tokens, 'token')}, read from an empty state: the {count(skipped, 'token')} before are left
          out.
        </p>
      )}
      <div class="pickers">
        <label class="field">
          Layer
          <select value={layer} onChange={(event) => setLayer(Number(event.currentTarget.value))}>
            <option value={-1}>All layers</option>
            {map.layers.map((_, index) => (
              <option key={index} value={index}>
                {index + 1}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          Colours span
          <select value={scale} onChange={(event) => setScale(event.currentTarget.value as Scale)}>
            <option value="layer">each layer by itself</option>
            <option value="all">all layers together</option>
          </select>
        </label>
        <label class="field wide">
          Token {token + 1} of {map.tokens}
          <input
            type="range"
            min={0}
            max={map.tokens - 1}
            value={token}
            aria-valuetext={`${token + 1}, ${quoted(labels[token]!)}`}
            onInput={(event) => setToken(Number(event.currentTarget.value))}
          />
        </label>
      </div>
      <p class="readout">
        <output aria-live="polite">{readout(map.layers, labels[token]!, token, layer)}</output>
      </p>
      {/* The picture below says the same in words. */}
      <p class="shaded" aria-hidden="true">
        {labels.map((label, index) => {
          const { fill, ink } = colour(shades[index]!, theme);
          return (
            // biome-ignore lint/a11y: a shortcut for the pointer; the slider above does the same
            <span
              key={index}
              class={index === token ? 'token here' : 'token'}
              style={{ background: fill, color: ink }}
              onClick={() => setToken(index)}
            >
              {label}
            </span>
          );
        })}
      </p>
      <figure>
        <HeatMap {...{ map, spans, theme, token, layer, description }} onChoose={choose} />
        <figcaption>
          <span>Layers from top to bottom, tokens from left to right; the text above is shaded by {where}.</span>
          <span class="legend" aria-hidden="true">
            passes over
            <i style={{ background: `linear-gradient(to right, ${ramp(theme).join(', ')})` }} />
            lets in
          </span>
        </figcaption>
      </figure>
      <Values map={map} labels={labels} />
    </>
  );
}

/** A table of the numbers, which is made only when it is opened. */
function Values({ map, labels }: Pick<Look, 'map' | 'labels'>) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The numbers, as a table</summary>
      {open && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        <section class="values" tabIndex={0} aria-label="Mean delta by token and layer">
          <table>
            <caption>Mean Δ by token and layer</caption>
            <thead>
              <tr>
                <th scope="col">Token</th>
                {map.layers.map((_, index) => (
                  <th scope="col" key={index}>
                    Layer {index + 1}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {labels.map((label, token) => (
                <tr key={token}>
                  <th scope="row">{visible(label)}</th>
                  {map.layers.map((values, index) => (
                    <td key={index}>{format(values[token]!)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  );
}

function readout(layers: readonly Float32Array[], label: string, token: number, layer: number): string {
  if (layer >= 0) return `${quoted(label)}, layer ${layer + 1}: Δ ${format(layers[layer]![token]!)}`;
  const values = layers.map((values) => format(values[token]!));
  return `${quoted(label)}: Δ ${values.join(' · ')} in layers 1 to ${layers.length}`;
}
