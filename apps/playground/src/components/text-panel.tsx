import { useEffect, useRef, useState } from 'preact/hooks';
import { bytes, count } from '../format.ts';
import type { LoadedModel, Playground } from '../playground.ts';
import { Action } from './action.tsx';
import { Branches } from './branches.tsx';
import { Fact } from './fact.tsx';
import { INITIAL_SAMPLING, Sampling, samplingOptions } from './sampling.tsx';

interface TextPanelProps {
  readonly playground: Playground;
  readonly model: LoadedModel;
}

/** Shows the branches, the text of the chosen one, and the actions on it. */
export function TextPanel({ playground, model }: TextPanelProps) {
  const branch = playground.branch!;
  const { busy, speed } = playground;
  const { hasTokenizer } = model.lm.info;
  const [input, setInput] = useState(hasTokenizer ? 'In the beginning' : '1 2 3');
  const [fields, setFields] = useState(INITIAL_SAMPLING);
  const form = useRef<HTMLFormElement>(null);
  const transcript = useRef<HTMLDivElement>(null);
  const generating = busy === 'generate';
  const stoppable = generating || busy === 'read';
  const { segments, ids } = branch.transcript;

  // The end of the text stays in view, unless the reader has scrolled away.
  const following = useRef(true);
  useEffect(() => {
    const box = transcript.current;
    if (box && following.current) box.scrollTop = box.scrollHeight;
  }, [ids.length, branch]);

  // On a narrow screen the panel is below the model's.
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    const { top } = section.current!.getBoundingClientRect();
    if (top > innerHeight / 2) section.current!.scrollIntoView();
  }, []);

  const submit = (event: Event): void => {
    event.preventDefault();
    if (stoppable) playground.stop();
    if (busy !== undefined) return;
    following.current = true;
    void playground.generate(input, samplingOptions(fields));
    setInput('');
  };
  const readOnly = (): void => {
    // Input that could not be read stays in the field.
    void playground.read(input).then((done) => {
      if (!done) setInput((now) => now || input);
    });
    setInput('');
  };
  const keys = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !stoppable) {
      event.preventDefault();
      form.current?.requestSubmit();
    }
    if (event.key === 'Escape' && stoppable) playground.stop();
  };

  return (
    <section ref={section} class="panel text" aria-labelledby="text-heading">
      <h2 id="text-heading">Text</h2>
      <Branches playground={playground} />
      <div
        ref={transcript}
        class="transcript"
        role="log"
        aria-label={`Text of ${branch.name.toLowerCase()}`}
        aria-busy={generating}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        tabIndex={0}
        onScroll={({ currentTarget: box }) => {
          following.current = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
        }}
      >
        {branch.forgotten > 0 && (
          <p class="hint">{count(branch.forgotten, 'token')} before are in the state, but not in the file.</p>
        )}
        {segments.length === 0 ? (
          <p class="hint">Nothing is read yet. Write a beginning below, and have the model go on.</p>
        ) : (
          <p>
            {segments.map(({ kind, text }, index) => (
              <span key={index} class={kind}>
                {text}
              </span>
            ))}
            {generating && <span class="caret" aria-hidden="true" />}
          </p>
        )}
      </div>
      <dl class="facts live" aria-label="This branch">
        <Fact name="Read so far" value={count(branch.session.length, 'token')} />
        <Fact name="State, at any length" value={branch.session.bytes > 0 ? bytes(branch.session.bytes) : 'zero'} />
        <Fact
          name="Speed"
          value={
            speed?.perSecond === undefined ? '–' : `${speed.perSecond.toFixed(speed.perSecond < 10 ? 1 : 0)} tokens/s`
          }
        />
      </dl>
      <form ref={form} onSubmit={submit} onKeyDown={keys}>
        <label class="field">
          {hasTokenizer ? 'Add text' : 'Add token ids'}
          <textarea
            rows={3}
            value={input}
            placeholder={segments.length > 0 ? 'Nothing: the model goes on from where it is.' : ''}
            aria-keyshortcuts="Control+Enter Meta+Enter"
            onInput={(event) => setInput(event.currentTarget.value)}
          />
        </label>
        <div class="actions">
          <button type="submit" class="primary" aria-disabled={busy !== undefined && !stoppable}>
            {stoppable ? 'Stop' : 'Generate'}
          </button>
          <Action blocked={busy !== undefined || input === ''} onClick={readOnly}>
            Only read
          </Action>
          <span class="hint keys">
            <kbd>Ctrl</kbd> <kbd>Enter</kbd> generates, <kbd>Esc</kbd> stops.
          </span>
        </div>
        <Sampling fields={fields} onChange={setFields} />
      </form>
    </section>
  );
}
