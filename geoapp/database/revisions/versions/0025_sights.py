"""sql/migrations/0025_sights"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0025_sights")
