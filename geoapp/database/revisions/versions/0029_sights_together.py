"""sql/migrations/0029_sights_together"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0029_sights_together")
