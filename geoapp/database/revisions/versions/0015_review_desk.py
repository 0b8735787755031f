"""sql/migrations/0015_review_desk"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0015_review_desk")
