'use strict';
/* Names marks where they are pointed at or reached by arrow keys, and reads the epoch slider. Nothing is fetched. */
for (const figure of document.querySelectorAll('figure')) {
  const told = figure.querySelector('.told');
  const marks = () => [...figure.querySelectorAll('.mark')].filter(mark => mark.getClientRects().length);
  let place = -1;
  const tell = mark => {
    for (const other of figure.querySelectorAll('.mark.at')) other.classList.remove('at');
    if (!mark) return;
    mark.classList.add('at');
    told.textContent = mark.querySelector('title').textContent;
  };
  figure.addEventListener('pointerover', event => tell(event.target.closest('.mark') || null));
  figure.addEventListener('click', event => tell(event.target.closest('.mark') || null));
  figure.addEventListener('keydown', event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const all = marks();
    if (event.target !== figure || all.length === 0) return;
    if (event.key === 'Enter') { if (all[place]?.href) window.open(all[place].href.baseVal, '_blank', 'noopener'); }
    if (!step) return;
    event.preventDefault();
    place = (place + step + all.length) % all.length;
    tell(all[place]);
  });
}
for (const box of document.querySelectorAll('.epochs')) {
  const at = JSON.parse(box.querySelector('script').textContent);
  const slider = box.querySelector('input');
  const lines = () => [...document.querySelectorAll('[id$="-epoch-line"] path')];
  const ends = id => [...document.querySelectorAll(`[id$="-${id}"] path`)].map(path => parseFloat(path.getAttribute('d').slice(1)));
  const read = () => {
    const one = at[slider.value];
    box.querySelector('output').textContent = one.text;
    slider.setAttribute('aria-valuetext', one.text);
    const first = ends('epoch-first'), last = ends('epoch-line');
    lines().forEach((line, index) => {
      const share = (one.epoch - at[0].epoch) / Math.max(at[at.length - 1].epoch - at[0].epoch, 1);
      line.setAttribute('transform', `translate(${(share - 1) * (last[index] - first[index])} 0)`);
    });
  };
  slider.addEventListener('input', read);
  box.hidden = false;
  read();
}
