"""French."""

from __future__ import annotations

from streamer.exams.wordings.wording import Wording

FR = Wording(
    name="Français",
    text="""\
Ce qui se passe : pendant l’examen {exam}, votre microphone est écouté, à partir du moment où vous \
commencez sur cette page et jusqu’à ce que vous la quittiez ou que l’examen se termine. Le serveur \
compare la voix avec votre empreinte vocale, plusieurs fois par seconde.
Ce qui est enregistré : l’empreinte vocale, une liste de nombres calculés à partir de votre voix, \
conservée chiffrée. Et un journal : quelle voix a parlé à quel moment, à quel point le serveur en \
était sûr, et quelle était la qualité du son. {sound}
Pourquoi : pour que les personnes qui surveillent l’examen puissent voir si c’est bien vous qui \
parlez. Cela ne sert à rien d’autre. Les émotions ne sont pas recherchées.
Qui décide : des personnes. Le serveur signale seulement ce que quelqu’un devrait regarder. Vous \
pouvez leur demander ce qui a été signalé, et y répondre.
Votre choix : vous pouvez refuser, et demander aux examinateurs une autre solution. Vous pouvez \
retirer votre consentement à tout moment, ici ou auprès d’eux : l’empreinte vocale est alors \
supprimée aussitôt, et plus rien n’est comparé.""",
    quoted="« {} »",
    no_sound="Le son lui-même n’est pas enregistré.",
    if_allowed="Le son lui-même n’est pas enregistré, sauf si vous l’autorisez séparément.",
    clips="Autour de ce qui est signalé, 10 secondes de son sont enregistrées, chiffrées, et les"
    " personnes qui surveillent l’examen peuvent les écouter. Vous pouvez retirer cet accord seul à"
    " tout moment, ici ou auprès des examinateurs : le son est alors supprimé aussitôt, et l’examen"
    " continue.",
    voiceprint="Votre empreinte vocale est conservée",
    record="Le journal de l’examen est conservé",
    sound="Le son autour de ce qui est signalé est conservé",
    until_withdrawn="jusqu’à ce que vous retiriez votre consentement ou que les examinateurs la"
    " suppriment",
    until_deleted="jusqu’à ce que les examinateurs le suppriment",
    with_record="aussi longtemps que le journal de l’examen, et au plus jusqu’à ce que vous"
    " retiriez votre consentement",
    unused="jusqu’à ce que {days} passent sans qu’elle serve",
    both="{term}, et au plus {unused}",
    day="{} jour",
    days="{} jours",
)
