"""Italian."""

from __future__ import annotations

from streamer.exams.wordings.wording import Wording

IT = Wording(
    name="Italiano",
    text="""\
Che cosa succede: durante l’esame {exam} il Suo microfono viene ascoltato, dal momento in cui Lei \
inizia su questa pagina fino a quando la lascia o l’esame termina. Il server confronta la voce con \
la Sua impronta vocale più volte al secondo.
Che cosa viene conservato: l’impronta vocale, cioè un elenco di numeri calcolati dalla Sua voce, \
conservato cifrato. E un registro: quale voce ha parlato e quando, quanto il server ne era sicuro \
e com’era la qualità del suono. {sound}
Perché: affinché chi sorveglia l’esame possa vedere se è Lei a parlare. Non serve a nient’altro. \
Non si cercano emozioni.
Chi decide: le persone. Il server segnala soltanto ciò che qualcuno dovrebbe guardare. Lei può \
chiedere loro che cosa è stato segnalato, e rispondere.
La Sua scelta: può dire di no e chiedere agli esaminatori un’altra modalità. Può revocare il \
consenso in qualsiasi momento, qui o chiedendolo a loro: l’impronta vocale viene allora cancellata \
subito e non si confronta più nulla.""",
    quoted="«{}»",
    no_sound="Il suono stesso non viene conservato.",
    if_allowed="Il suono stesso non viene conservato, a meno che Lei non lo permetta"
    " separatamente.",
    clips="Attorno a ciò che viene segnalato si conservano, cifrati, 10 secondi di suono, e chi"
    " sorveglia l’esame può ascoltarli. Può revocare solo questo permesso in qualsiasi momento,"
    " qui o rivolgendosi agli esaminatori: il suono viene allora cancellato subito, e"
    " l’esame continua.",
    voiceprint="La Sua impronta vocale viene conservata",
    record="Il registro dell’esame viene conservato",
    sound="Il suono attorno a ciò che è segnalato viene conservato",
    until_withdrawn="fino a quando Lei revoca il consenso o gli esaminatori la cancellano",
    until_deleted="fino a quando gli esaminatori lo cancellano",
    with_record="quanto il registro dell’esame, e al massimo fino a quando Lei revoca il consenso",
    unused="finché non passano {days} senza che sia usata",
    both="{term}, e al massimo {unused}",
    day="{} giorno",
    days="{} giorni",
)
