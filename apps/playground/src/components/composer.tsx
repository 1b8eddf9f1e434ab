import { useEffect, useRef } from 'preact/hooks';
import { paceWords } from '../pace.ts';
import type { Playground } from '../playground.ts';
import { samplingOptions } from '../sampling.ts';
import { Action } from './action.tsx';
import { ErrorNote } from './error-note.tsx';

/** The id of the form, which fields elsewhere on the page belong to as well. */
export const COMPOSER = 'composer';

/** Takes text to read, starts and stops the work, and shows how far it is. It stays in view. */
export function Composer({ playground }: { readonly playground: Playground }) {
  const { busy, pace, error, prompt, branch } = playground;
  const { hasTokenizer } = playground.model!.lm.info;
  const form = useRef<HTMLFormElement>(null);
  const stoppable = busy === 'generate' || busy === 'read';

  useEffect(() => {
    const stop = (event: KeyboardEvent): void => {
      if (event.key === 'Escape' && stoppable) playground.stop();
    };
    addEventListener('keydown', stop);
    return () => removeEventListener('keydown', stop);
  }, [playground, stoppable]);

  const submit = (event: Event): void => {
    event.preventDefault();
    if (stoppable) playground.stop();
    if (busy !== undefined) return;
    void playground.generate(playground.prompt, samplingOptions(playground.sampling));
    playground.setPrompt('');
  };
  const readOnly = (): void => {
    const input = playground.prompt;
    // Input that could not be read stays in the field.
    void playground.read(input).then((done) => {
      if (!done && playground.prompt === '') playground.setPrompt(input);
    });
    playground.setPrompt('');
  };
  const keys = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !stoppable) {
      event.preventDefault();
      form.current?.requestSubmit();
    }
  };

  return (
    <form ref={form} id={COMPOSER} class="composer" onSubmit={submit} onKeyDown={keys}>
      <div class="inner">
        {error?.place === 'text' && <ErrorNote words={error.words} onDismiss={() => playground.dismissError()} />}
        <label class="field">
          <span class="unseen">{hasTokenizer ? 'Add text' : 'Add token ids'}</span>
          <textarea
            rows={2}
            value={prompt}
            placeholder={
              branch!.length > 0
                ? 'Nothing to add: the model goes on from where it is.'
                : hasTokenizer
                  ? 'Write a beginning, or paste a whole book.'
                  : 'Token ids, such as 1 2 3'
            }
            aria-keyshortcuts="Control+Enter Meta+Enter"
            onInput={(event) => playground.setPrompt(event.currentTarget.value)}
          />
        </label>
        <div class="actions">
          <button
            type="submit"
            class={`primary ${stoppable ? 'stop' : ''}`}
            aria-disabled={busy !== undefined && !stoppable}
          >
            {stoppable ? 'Stop' : 'Generate'}
          </button>
          <Action blocked={busy !== undefined || prompt === ''} onClick={readOnly}>
            Only read
          </Action>
          {pace === undefined ? (
            <span class="hint keys">
              <kbd>Ctrl</kbd> <kbd>Enter</kbd> generates, <kbd>Esc</kbd> stops.
            </span>
          ) : (
            <div class="running">
              {stoppable && <progress aria-label={`Tokens ${pace.what}`} value={pace.tokens} max={pace.total} />}
              <span class="hint">{paceWords(pace, stoppable)}</span>
            </div>
          )}
        </div>
      </div>
    </form>
  );
}
